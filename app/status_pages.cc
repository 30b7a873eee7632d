#include "app/status_pages.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "model/digest.h"

namespace outrider::app {
namespace {

http::ServerResponse Alive(const Health& health) {
  const std::vector<std::string> silent = health.SilentLoops();
  if (silent.empty()) return {.status = 200, .body = "ok\n"};
  return {.status = 503, .body = fmt::format("silent loops: {}\n", fmt::join(silent, ", "))};
}

http::ServerResponse Ready(const Health& health, bool verbose) {
  http::ServerResponse response;
  response.status = health.ready() ? 200 : 503;
  response.body = health.ready() ? "ready\n" : fmt::format("not ready: {}\n", health.why_not_ready());
  if (!verbose) return response;
  for (const auto& [name, part] : health.parts()) {
    response.body += fmt::format("[{}] {}: {}\n", part.delivers ? "+" : "-", name, part.words);
  }
  return response;
}

}  // namespace

http::ServerResponse ServeStatus(const http::ServerRequest& request, const Health& health,
                                 const MetricsRegistry& registry, const Secret& token) {
  if (request.path.starts_with("/api/") && !token.empty() &&
      // By digest, so that the time it takes tells nothing of how much was right.
      Sha256(http::FindHeader(request.headers, "authorization")) != Sha256("Bearer " + token.Reveal())) {
    return {.status = 401, .body = "this needs the header \"Authorization: Bearer <api.token>\"\n"};
  }
  if (request.method != "GET" && request.method != "HEAD")
    return {.status = 405, .body = "only GET is answered here\n"};
  if (request.path == "/healthz") return Alive(health);
  if (request.path == "/readyz")
    return Ready(health, request.query == "verbose" || request.query.starts_with("verbose="));
  if (request.path == "/metrics") {
    return {.status = 200, .content_type = "text/plain; version=0.0.4; charset=utf-8", .body = registry.Scrape()};
  }
  return {.status = 404, .body = "not found; there are /healthz, /readyz, /readyz?verbose and /metrics\n"};
}

}  // namespace outrider::app
