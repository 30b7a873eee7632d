// The pages that machines look at: /healthz, /readyz, /metrics. Pure but for what health and metrics
// hold; safe from the server's thread.
#pragma once

#include "metrics/health.h"
#include "metrics/registry.h"
#include "model/secret.h"
#include "platform/http/server.h"

namespace outrider::app {

// Everything else is 404 with a list of what there is. `token` guards /api/ (401 without it).
http::ServerResponse ServeStatus(const http::ServerRequest& request, const Health& health,
                                 const MetricsRegistry& registry, const Secret& token);

}  // namespace outrider::app
