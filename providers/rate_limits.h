// RateLimits: every limit that this process uses: of bots, apps, tenants and recipients. Each message takes a place in
// all of its limits at once, or none.
//
// A limit is made when it is first asked for and forgotten when nobody has used it for two seconds and nothing counts
// any more, so memory follows what is in use; there are never more than kMost, and who would need another one waits.
// With a keeper (consumer/rate_leases.h) limits hold over all processes together; without one they are this process's
// own. Threads: safe from several. Lost on a crash: see RateShare.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model/time.h"
#include "providers/limit_scope.h"
#include "providers/rate_share.h"

namespace outrider::providers {

// A message's place in each of its limits; given back at its end unless it was used. Movable; empty when default-made
// or moved from. Safe to outlive the RateLimits.
class Place final {
 public:
  Place() noexcept;
  Place(Place&& other) noexcept;
  Place& operator=(Place&& other) noexcept;
  ~Place();

  bool empty() const;
  // Right before the first byte leaves: false when one of the shares isn't this process's any more, or was closed.
  bool MayLeave() const;
  void Use();       // the message was answered, or given up on the way
  void GiveBack();  // nothing left
  // The vendor said "not before": no place in the limits that are the vendor's (channel, app).
  void CloseFor(std::chrono::milliseconds wait);

 private:
  friend class RateLimits;
  struct Held;
  std::vector<Held> held_;
};

class RateLimits final {
 public:
  using Time = RateShare::Time;
  static constexpr std::size_t kMost = 20'000;

  explicit RateLimits(const Clock& clock);
  ~RateLimits();
  RateLimits(const RateLimits&) = delete;
  RateLimits& operator=(const RateLimits&) = delete;

  struct Outlook {
    std::size_t places = 0;
    std::chrono::milliseconds wait{0};
    std::size_t rule = 0;  // index of the tightest
  };
  // What can be taken now under all of the rules. Where no share is held it tells what the whole limit would give.
  Outlook Look(std::span<const LimitRule> rules) const;
  struct Refusal {
    std::size_t rule = 0;               // index of the one that refused
    std::chrono::milliseconds wait{0};  // not sooner than this
  };
  std::expected<Place, Refusal> Take(std::span<const LimitRule> rules);
  // The keeper is to get a share of each before Take(). True when it has to come by for that.
  bool Want(std::span<const LimitRule> rules);
  // Somebody waits for it.
  void Press(const LimitRule& rule, std::chrono::milliseconds wait);

  // See RateShare. The second call: empty until the keeper has been here.
  void Book(const LimitRule& rule, std::size_t count);
  std::optional<Time> BookedFrom(const LimitRule& rule) const;

  // How many limits of each kind somebody waits for, and what those say in words (recipients are only counted).
  struct Waiting {
    std::array<std::size_t, kLimitKinds.size()> limits{};
    std::map<std::string, std::string> words;  // "channel ops" -> "3 of 5 a second are this process's"
  };
  Waiting FindWaiting() const;
  std::size_t size() const;

  // The keeper's part; one keeper at a time, by its name. False when there is another one. From then on places are only
  // given out of shares.
  bool Attach(const std::string& keeper);
  void Detach(const std::string& keeper);
  Time NextDue() const;
  struct Visit {
    Digest key{};
    LimitKind kind = LimitKind::kChannel;
    std::string shown;
    std::uint64_t known_version = 0;
  };
  // Those it should look after now.
  std::vector<Visit> Due(Time now);
  // See RateShare. A limit that is gone meanwhile has no plan.
  std::optional<SharedLimit> Plan(const Digest& key, const SharedLimit* row, const RateShare::Terms& terms);
  void Finish(const Digest& key, RateShare::Written written);
  // Every limit that nothing is open of is to be given back now.
  void LetGo();

 private:
  friend class Place;
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace outrider::providers
