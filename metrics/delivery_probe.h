// DeliveryProbe: how claims, attempts and settlements are seen. Metric names: metrics/README.md. Thread-safe.
//
// `provider` and `reason` are labels from closed sets, given to the constructor: a provider's own code would be a
// series for ever if a vendor invented codes. Whatever isn't in the set counts as "other".
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "metrics/registry.h"
#include "model/delivery_status.h"
#include "model/outcome.h"
#include "model/time.h"

namespace outrider {

struct DeliveryLabels {
  std::vector<std::string> providers = {"feishu_app", "feishu_batch", "feishu_bot",    "feishu_flow", "dingtalk_robot",
                                        "wecom_app",  "wecom_robot",  "slack_webhook", "mock"};
  std::vector<std::string> reasons;  // the providers' own, beside those of the status table
};

class DeliveryProbe final {
 public:
  explicit DeliveryProbe(MetricsRegistry& registry, DeliveryLabels labels = {});
  ~DeliveryProbe();
  void Transitioned(DeliveryStatus from, DeliveryStatus to, std::size_t records);
  // Once the attempt is stored, so that the counters never say more than the rows. `verdict` as the row has it; what no
  // provider says (lease_expired) has a verb of its own and isn't counted here.
  void Attempted(std::string_view provider, std::string_view verdict, std::chrono::microseconds duration);
  void Delivered(std::string_view provider, std::chrono::microseconds since_commit);
  void Died(
      std::string_view reason);  // reasons come from the closed tables of model and providers; others count as "other"
  void SettleConflicts(std::size_t records);  // a settlement found another version: it changed nothing
  void ClaimConflicts(std::size_t records);
  void LeasesExpired(std::size_t records);
  void BecameUncertain(std::size_t records);
  void Reconciled(std::string_view result);  // "taken", "not_taken"; anything else: unknown
  void Parked(std::size_t records);
  void KeysBlocked(std::size_t records, std::optional<Timestamp> oldest);  // dead records that hold their ordering key
  void Paused(std::size_t channels, std::size_t tenants);                  // by a person, now
  void InFlight(std::size_t sends);                                        // now
  void RateLimited(std::string_view provider);                             // held back by our own limiter
  // `limit`: channel, app, tenant, recipient.
  void Postponed(std::string_view limit);                            // a record moved to a later slot
  void LimitsWaitedFor(std::string_view limit, std::size_t limits);  // now
  void UnknownCode(std::string_view provider);                       // a vendor's code that no table has

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace outrider
