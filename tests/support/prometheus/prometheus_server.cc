#include "tests/support/prometheus/prometheus_server.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "tests/support/process/free_port.h"
#include "tests/support/process/wait_until.h"

namespace outrider::testing {
namespace {

using Json = nlohmann::json;
using Labels = std::map<std::string, std::string>;

constexpr std::chrono::seconds kStartTimeout{60};
constexpr int kPortTries = 5;

struct HttpAnswer {
  long status = 0;  // 0: none
  std::string body;
};

std::size_t Append(char* bytes, std::size_t size, std::size_t count, void* body) {
  static_cast<std::string*>(body)->append(bytes, size * count);
  return size * count;
}

// GET, or POST when there is a form to send.
HttpAnswer Request(const std::string& url, std::optional<std::string> form = std::nullopt) {
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> handle(curl_easy_init(), curl_easy_cleanup);
  HttpAnswer answer;
  curl_easy_setopt(handle.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(handle.get(), CURLOPT_PROXY, "");
  curl_easy_setopt(handle.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle.get(), CURLOPT_TIMEOUT_MS, 10'000L);
  curl_easy_setopt(handle.get(), CURLOPT_WRITEFUNCTION, Append);
  curl_easy_setopt(handle.get(), CURLOPT_WRITEDATA, &answer.body);
  if (form) curl_easy_setopt(handle.get(), CURLOPT_POSTFIELDS, form->c_str());
  if (curl_easy_perform(handle.get()) == CURLE_OK) {
    curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &answer.status);
  }
  return answer;
}

std::string FormField(std::string_view name, std::string_view value) {
  const std::unique_ptr<char, decltype(&curl_free)> escaped(
      curl_easy_escape(nullptr, value.data(), static_cast<int>(value.size())), curl_free);
  return fmt::format("{}={}", name, escaped.get());
}

// The `data` of an answer of the API.
Json Data(const HttpAnswer& answer) {
  const Json json = Json::parse(answer.body, nullptr, false);
  if (answer.status != 200 || !json.is_object() || json.value("status", "") != "success") {
    throw std::runtime_error(fmt::format("Prometheus answers {}: {}", answer.status, answer.body));
  }
  return json.at("data");
}

// Of "[time, text]". The text may be NaN or +Inf.
double SampleValue(const Json& pair) {
  std::string_view text = pair.at(1).get_ref<const std::string&>();
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc{}) throw std::runtime_error(fmt::format("not a sample's value: {}", text));
  return value;
}

std::string LastLines(const std::string& text) {
  constexpr std::size_t kBytes = 2000;
  return text.size() <= kBytes ? text : text.substr(text.size() - kBytes);
}

}  // namespace

std::unique_ptr<PrometheusServer> PrometheusServer::Start(PrometheusOptions options) {
  return std::unique_ptr<PrometheusServer>(new PrometheusServer(std::move(options)));
}

PrometheusServer::PrometheusServer(PrometheusOptions options) : options_(std::move(options)), folder_("prometheus") {
  WriteConfiguration();
  // Somebody else may take the port between our look and the server's start.
  for (int i = 1;; ++i) {
    port_ = FreePort();
    try {
      Launch();
      return;
    } catch (const std::runtime_error&) {
      const bool taken = process_ && process_->Stderr().find("address already in use") != std::string::npos;
      if (!taken || i == kPortTries) throw;
      process_.reset();
    }
  }
}

PrometheusServer::~PrometheusServer() = default;

std::string PrometheusServer::url() const { return fmt::format("http://127.0.0.1:{}", port_); }

void PrometheusServer::WriteConfiguration() const {
  const std::string interval = fmt::format("{}ms", options_.interval.count());
  Json rules = Json::array();
  for (const std::filesystem::path& file : options_.rule_files) rules.push_back(std::filesystem::absolute(file));
  // JSON is YAML.
  const Json configuration = {
      {"global", {{"scrape_interval", interval}, {"scrape_timeout", interval}, {"evaluation_interval", interval}}},
      {"rule_files", std::move(rules)},
      {"scrape_configs",
       {{{"job_name", options_.job},
         {"metrics_path", options_.metrics_path},
         {"static_configs", {{{"targets", options_.targets}}}}}}}};
  WriteTextFile(folder_.path() / "prometheus.yml", configuration.dump(2));
}

void PrometheusServer::Launch() {
  const std::string folder = folder_.path().string();
  process_.emplace(
      ChildOptions{.command = {"prometheus", "--config.file=" + folder + "/prometheus.yml",
                               "--storage.tsdb.path=" + folder + "/data", "--storage.tsdb.wal-segment-size=10MB",
                               "--query.max-concurrency=2", "--web.enable-lifecycle",
                               fmt::format("--web.listen-address=127.0.0.1:{}", port_)},
                   .environment = {{"GOMAXPROCS", "1"}, {"GOMEMLIMIT", "64MiB"}},
                   .output_directory = folder_.path()});
  const bool answers =
      WaitUntil([&] { return !process_->Running() || Request(url() + "/-/ready").status == 200; }, kStartTimeout);
  if (answers && process_->Running()) return;
  throw std::runtime_error(
      fmt::format("the test's Prometheus didn't start. Its log ends so:\n{}", LastLines(process_->Stderr())));
}

std::vector<PrometheusSample> PrometheusServer::Query(std::string_view expression) const {
  const Json data = Data(Request(url() + "/api/v1/query", FormField("query", expression)));
  const std::string type = data.at("resultType");
  const Json& result = data.at("result");
  if (type == "scalar") return {{{}, SampleValue(result)}};
  if (type != "vector") throw std::runtime_error(fmt::format("{} yields a {}, not a value", expression, type));
  std::vector<PrometheusSample> samples;
  for (const Json& series : result) {
    samples.push_back({series.at("metric").get<Labels>(), SampleValue(series.at("value"))});
  }
  return samples;
}

std::optional<double> PrometheusServer::Value(std::string_view expression) const {
  const std::vector<PrometheusSample> samples = Query(expression);
  if (samples.empty()) return std::nullopt;
  if (samples.size() > 1) throw std::runtime_error(fmt::format("{} yields {} series", expression, samples.size()));
  return samples.front().value;
}

bool PrometheusServer::WaitForValue(std::string_view expression, double value,
                                    std::chrono::milliseconds timeout) const {
  return WaitUntil([&] { return Value(expression) == value; }, timeout);
}

std::vector<PrometheusAlert> PrometheusServer::Alerts() const {
  std::vector<PrometheusAlert> alerts;
  const Json data = Data(Request(url() + "/api/v1/alerts"));
  for (const Json& alert : data.at("alerts")) {
    auto labels = alert.at("labels").get<Labels>();
    std::string name = labels.at("alertname");
    alerts.push_back({std::move(name), alert.at("state"), std::move(labels), alert.at("annotations").get<Labels>()});
  }
  return alerts;
}

void PrometheusServer::SetTargets(std::vector<std::string> targets) {
  options_.targets = std::move(targets);
  WriteConfiguration();
  if (!process_->Running()) return;
  const HttpAnswer answer = Request(url() + "/-/reload", "");
  if (answer.status == 200) return;
  throw std::runtime_error(fmt::format("Prometheus doesn't reload ({}): {}", answer.status, answer.body));
}

void PrometheusServer::Stop() { process_->Terminate(kStartTimeout); }
void PrometheusServer::Kill() { process_->Kill(); }
void PrometheusServer::Pause() { process_->Pause(); }
void PrometheusServer::Continue() { process_->Continue(); }

void PrometheusServer::Restart() {
  Stop();
  process_.reset();
  Launch();
}

}  // namespace outrider::testing
