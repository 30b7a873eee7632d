// One HTTP call to a server of this machine, waited for. Any thread.
#pragma once

#include <string>

#include "model/result.h"
#include "platform/http/engine.h"

namespace outrider::app {

// The body of an answer with status 200; kUnavailable: none came, or another status.
Result<std::string> CallHttp(http::HttpEngine& engine, const std::string& method, const std::string& url,
                             std::string body = {});
// For such calls: plain http, private addresses, large answers.
http::HttpEngineOptions LocalHttp();

}  // namespace outrider::app
