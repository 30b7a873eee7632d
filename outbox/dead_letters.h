// DeadLetters: the rows of a source that can't be published, and what a person does with them.
//
// Replaying puts a row among the held ones of its key, where the relay finds it: before those that wait behind it, and
// after what is under way. Each decision is one transaction with its line in outbox_audit. Never gives a payload.
// Threads: the connection's. A crash leaves a row decided on or not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/result.h"
#include "model/time.h"
#include "platform/mysql/connection.h"

namespace outrider::outbox {

struct DeadLetter {
  std::uint64_t id = 0;
  std::uint64_t seq = 0;
  std::string event_id, aggregatetype, aggregateid, type;
  std::string reason;  // stable
  std::string detail;
  Timestamp created_at{};
  Timestamp moved_at{};
  std::uint64_t bytes = 0;  // of the payload
  bool holds_key = false;   // the key's later rows wait
};

// All of them together; what is empty asks for nothing. Texts byte for byte.
struct DeadFilter {
  std::vector<std::uint64_t> ids;
  std::vector<std::uint64_t> seqs;
  std::string aggregatetype, aggregateid, reason;
};

struct HeldKeyView {
  std::string aggregatetype, aggregateid;
  Timestamp held_at{};
  std::size_t dead = 0;  // rows of outbox_dead that hold it; 0: its rows are on their way
  std::size_t rows = 0;  // that wait, at most kHeldCap
};

struct Decision {
  std::string actor;
  std::string reason;
};

class DeadLetters final {
 public:
  explicit DeadLetters(std::string source) : source_(std::move(source)) {}

  // The newest first, with lower ids than `before`.
  Result<std::vector<DeadLetter>> Newest(mysql::MysqlConnection& connection, const DeadFilter& filter,
                                         std::optional<std::uint64_t> before, std::size_t limit) const;
  // The oldest first, with higher ids than `after`.
  Result<std::vector<DeadLetter>> Oldest(mysql::MysqlConnection& connection, const DeadFilter& filter,
                                         std::uint64_t after, std::size_t limit) const;
  Result<std::size_t> Count(mysql::MysqlConnection& connection, const DeadFilter& filter) const;
  // The keys that have been held longest.
  Result<std::vector<HeldKeyView>> HeldKeys(mysql::MysqlConnection& connection, std::size_t limit) const;

  // kNotFound: it is gone, or another source's; somebody was first.
  Result<void> Replay(mysql::MysqlConnection& connection, std::uint64_t id, const Decision& decision) const;
  Result<void> Discard(mysql::MysqlConnection& connection, std::uint64_t id, const Decision& decision) const;

 private:
  Result<std::vector<DeadLetter>> List(mysql::MysqlConnection& connection, const DeadFilter& filter,
                                       std::string_view bound, std::uint64_t id, std::size_t limit) const;
  Result<void> Decide(mysql::MysqlConnection& connection, std::uint64_t id, const Decision& decision,
                      std::string_view action) const;
  Result<void> DecideInside(mysql::MysqlConnection& connection, std::uint64_t id, const Decision& decision,
                            std::string_view action) const;

  std::string source_;
};

}  // namespace outrider::outbox
