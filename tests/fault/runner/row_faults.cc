#include "tests/fault/runner/row_faults.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <thread>

#include "model/time.h"
#include "platform/failpoint/failpoint.h"
#include "platform/kafka/producer.h"
#include "tests/support/process/wait_until.h"

namespace outrider::fault {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::WaitUntil;

constexpr seconds kCrashTimeout{25};
constexpr std::string_view kTopic = "outbox.event.notification";

bool Statement(mysql::MysqlConnection& connection, std::string_view sql) {
  return connection.ExecuteScript(sql).has_value();
}

// Lets the fault act for a while. The time is the fault's own length, not a wait for something.
void Last(milliseconds duration) { std::this_thread::sleep_for(duration); }

}  // namespace

RowFaults::RowFaults(Installation& installation, std::uint64_t seed) : installation_(installation), seed_(seed) {}

const std::vector<RowFaults::Row>& RowFaults::Rows() {
  static const std::vector<Row> rows = {
      {1, "kill the leading relay", &RowFaults::KillRelay},
      {2, "kill a consumer", &RowFaults::KillConsumer},
      {3, "stop a process by SIGTERM under load", &RowFaults::StopGently},
      {4, "pause a process for twice its lease", &RowFaults::PauseProcess},
      {5, "a record that ends the process, each time", &RowFaults::CrashLoop},
      {10, "KILL connections in the middle of their work", &RowFaults::KillConnections},
      {12, "lose the answer to a COMMIT", &RowFaults::LoseCommitAnswer},
      {13, "deadlock", &RowFaults::Deadlock},
      {14, "lock wait", &RowFaults::LockWait},
      {20, "commit a low seq late", &RowFaults::CommitLate},
      {22, "remove old records, killed on the way", &RowFaults::RemoveOld},
      {24, "stop or kill the broker", &RowFaults::BreakBroker},
      {29, "a record too large for the broker", &RowFaults::TooLarge},
      {34, "garbage in the topic", &RowFaults::Garbage},
      {36, "throttling answers", &RowFaults::Throttle},
      {39, "accepted, and the reply lost", &RowFaults::LoseReply},
      {48, "two consumer groups at once", &RowFaults::TwoGroups},
      {50, "many scanners at once", &RowFaults::ManyScanners},
      {51, "the head of a key fails for ever", &RowFaults::HoldKey},
  };
  return rows;
}

void RowFaults::Inject(const Row& row) {
  row_ = row.number;
  std::seed_seq plan{static_cast<unsigned>(seed_ >> 32), static_cast<unsigned>(seed_), static_cast<unsigned>(row_),
                     injected_[row_]++};
  random_.seed(plan);
  const bool fired = (this->*row.inject)();
  auto found = std::ranges::find_if(counts_, [&](const FaultCount& count) {
    return count.row == row_ && count.kind == kind_ && count.target == target_;
  });
  if (found == counts_.end()) found = counts_.insert(counts_.end(), {row_, kind_, target_});
  ++found->planned;
  found->fired += fired ? 1 : 0;
  fmt::print(stderr, "{} fault: row {} {} {}\n", FormatRfc3339(SystemClock().Now()), row_, kind_,
             fired ? "fired" : "DID NOT FIRE");
}

void RowFaults::Say(std::string kind, std::string_view target) {
  kind_ = std::move(kind);
  target_ = target;
}

std::string_view RowFaults::AnyOf(std::span<const std::string_view> slots) {
  return slots[static_cast<std::size_t>(Draw(0, static_cast<int>(slots.size()) - 1))];
}

bool RowFaults::CrashAtFailpoint(std::string_view slot, std::string_view prefix) {
  std::vector<std::string_view> names;
  for (const FailpointInfo& info : kFailpoints) {
    if (info.name.starts_with(prefix)) names.push_back(info.name);
  }
  const std::string_view name = AnyOf(names);
  const int pass = Draw(1, name == "relay.after_produce" ? 60 : 4);
  Say(fmt::format("crash {}", name), "process");
  installation_.Start(
      slot, {{"OUTRIDER_ALLOW_FAILPOINTS", "1"}, {"OUTRIDER_FAILPOINT", fmt::format("{}=crash@{}", name, pass)}});
  return installation_.AwaitCrash(slot, kCrashTimeout);
}

bool RowFaults::KillRelay() {
  if (Draw(0, 2) == 0) {
    Say("kill relay at a random instant", "process");
    std::string leader;
    const bool leads = WaitUntil([&] { return !(leader = installation_.LeadingRelay()).empty(); });
    if (!leads) return false;
    Last(milliseconds{Draw(0, 300)});
    installation_.Kill(leader);
    installation_.StartAll();
    return true;
  }
  // The one that breaks has to lead.
  for (const auto slot : kRelays) installation_.Kill(slot);
  const bool crashed = CrashAtFailpoint(kRelays[0], "relay.");
  installation_.StartAll();
  return crashed;
}

bool RowFaults::KillConsumer() {
  const std::string_view slot = AnyOf(kConsumers);
  if (Draw(0, 2) == 0) {
    Say("kill consumer at a random instant", "process");
    Last(milliseconds{Draw(0, 300)});
    installation_.Kill(slot);
    installation_.StartAll();
    return true;
  }
  installation_.Kill(slot);
  static constexpr std::string_view kPrefixes[] = {"ingest.", "claim.", "send.", "settle."};
  const bool crashed = CrashAtFailpoint(slot, AnyOf(kPrefixes));
  installation_.StartAll();
  return crashed;
}

bool RowFaults::StopGently() {
  const std::string_view slot = Draw(0, 1) == 0 ? AnyOf(kRelays) : AnyOf(kConsumers);
  Say(fmt::format("SIGTERM {}", slot.substr(0, slot.find('-'))), "process");
  if (!installation_.Runs(slot)) return false;
  installation_.Terminate(slot);
  installation_.StartAll();
  return true;
}

bool RowFaults::PauseProcess() {
  const bool relay = Draw(0, 1) == 0;
  Say(relay ? "pause relay" : "pause consumer", "process");
  std::string slot;
  if (relay) {
    if (!WaitUntil([&] { return !(slot = installation_.LeadingRelay()).empty(); })) return false;
  } else {
    slot = AnyOf(kConsumers);
  }
  if (!installation_.Runs(slot)) return false;
  installation_.Pause(slot);
  Last((relay ? kRelayLease : kRecordLease) * 2);
  installation_.Continue(slot);
  return true;
}

bool RowFaults::KillConnections() {
  Say("KILL connections", "database");
  auto root = installation_.Connect("");
  // After the last such fault everybody may still be backing off.
  Result<mysql::Rows> sessions;
  const bool some = WaitUntil([&] {
    sessions = root->Execute("SELECT id FROM information_schema.processlist WHERE user = 'product'");
    return sessions && sessions->rows.size() > 2;
  });
  if (!some) return false;
  int killed = 0;
  for (const mysql::Row& row : sessions->rows) {
    if (Draw(0, 1) == 0 && Statement(*root, fmt::format("KILL CONNECTION {}", row.Int(0)))) ++killed;
  }
  if (killed > 0) return true;
  return Statement(*root, fmt::format("KILL CONNECTION {}", sessions->rows.front().Int(0)));
}

bool RowFaults::LoseCommitAnswer() {
  const bool after = Draw(0, 2) > 0;
  Say(after ? "cut after COMMIT" : "cut before COMMIT", "database");
  const int cut = installation_.proxy->Inject(
      testing::CutCommit(after ? testing::CutMoment::kAfterServer : testing::CutMoment::kBeforeServer,
                         static_cast<std::size_t>(Draw(1, 5))));
  const bool fired = installation_.proxy->WaitUntilFired(cut, 1, kCrashTimeout);
  installation_.proxy->Heal(cut);
  return fired;
}

std::int64_t RowFaults::Counter(mysql::MysqlConnection& connection, std::string_view name) {
  const auto rows = connection.Execute(fmt::format("SHOW GLOBAL STATUS LIKE '{}'", name));
  return rows && !rows->rows.empty() ? std::stoll(rows->rows.front().Text(1)) : -1;
}

bool RowFaults::Deadlock() {
  Say("deadlock", "database");
  auto session = installation_.Connect(installation_.records_database);
  if (!Statement(*session, "CREATE TABLE IF NOT EXISTS fault_ballast (id INT AUTO_INCREMENT PRIMARY KEY, n INT)")) {
    return false;
  }
  const auto deadlocks = [&]() -> std::int64_t {
    if (session->flavor() == mysql::Flavor::kMariaDb) return Counter(*session, "Innodb_deadlocks");
    const auto rows =
        session->Execute("SELECT count FROM information_schema.innodb_metrics WHERE name = 'lock_deadlocks'");
    return rows && !rows->rows.empty() ? rows->rows.front().Int(0) : -1;
  };
  const std::int64_t before = deadlocks();
  int own = 0;
  const auto deadline = std::chrono::steady_clock::now() + kCrashTimeout;
  while (std::chrono::steady_clock::now() < deadline) {
    if (!session->Begin()) return false;
    // The server ends whichever transaction has changed less: this one has changed more than a batch does.
    Statement(*session,
              "INSERT INTO fault_ballast (n) SELECT a.id FROM (SELECT 1 AS id FROM information_schema.columns "
              "LIMIT 1500) a");
    const auto newest = session->Execute(
        "SELECT id FROM notification_records WHERE status IN ('pending', 'failed', 'sending') ORDER BY id DESC LIMIT "
        "40 "
        "FOR UPDATE");
    if (newest) {
      Last(milliseconds{Draw(5, 40)});
      const auto oldest = session->Execute(
          "SELECT id FROM notification_records WHERE status IN ('pending', 'failed', 'sending') ORDER BY id LIMIT 400 "
          "FOR UPDATE");
      own += !oldest && oldest.error().native_code == 1213 ? 1 : 0;
    } else {
      own += newest.error().native_code == 1213 ? 1 : 0;
    }
    session->Rollback();
    if (deadlocks() - before > own) return true;
  }
  return false;
}

bool RowFaults::LockWait() {
  const bool records = Draw(0, 1) == 0;
  Say(records ? "hold records locked" : "hold a lease locked", "database");
  auto holder =
      installation_.Connect(records ? installation_.records_database : installation_.source_databases.at("shop"));
  const std::int64_t before = Counter(*holder, "Innodb_row_lock_waits");
  if (!holder->Begin()) return false;
  const auto locked = holder->Execute(
      records ? "SELECT id FROM notification_records WHERE status IN ('pending', 'failed', 'sending') FOR UPDATE"
              : "SELECT source FROM outbox_leases FOR UPDATE");
  if (!locked) return false;
  Last(milliseconds{2500});
  // Whoever wants it may be just starting.
  const bool waited = WaitUntil([&] { return Counter(*holder, "Innodb_row_lock_waits") > before; }, seconds{10});
  holder->Rollback();
  return waited;
}

// Its text has no token, so the checker takes the message for a stranger's and leaves the judging to us.
bool RowFaults::CommitLate() {
  Say("commit a low seq late", "database");
  auto late = installation_.Connect(installation_.source_databases.at("shop"));
  auto watch = installation_.Connect(installation_.source_databases.at("shop"));
  const std::string key = fmt::format("late-{}-{:08x}", ++late_, random_());
  const std::string payload =
      fmt::format(R"({{"dedupe_key": "{}", "channel": "team", "message": {{"text": "late"}}}})", key);
  if (!late->Begin()) return false;
  const auto inserted = late->Execute("INSERT INTO outbox (aggregateid, payload) VALUES (?, ?)",
                                      {std::string_view(key), std::string_view(payload)});
  if (!inserted) return false;
  // Later rows were inserted, relayed and deleted behind it.
  const auto relayed = [&] {
    const auto rows = watch->Execute("SELECT CAST(COALESCE(SUM(row_count), 0) AS SIGNED) FROM outbox_ledger");
    return rows ? rows->rows.front().Int(0) : -1;
  };
  const std::int64_t before = relayed();
  const bool overtaken = WaitUntil([&] { return relayed() > before + 20; });
  ++foreign_events_;
  if (!late->Commit() || !overtaken) return false;
  auto records = installation_.Connect(installation_.records_database);
  return WaitUntil([&] {
    const auto rows =
        records->Execute("SELECT COUNT(*) FROM notification_records WHERE dedupe_key = ?", {std::string_view(key)});
    return rows && rows->rows.front().Int(0) == 1;
  });
}

bool RowFaults::BreakBroker() {
  const int how = Draw(0, 2);
  static constexpr std::string_view kHow[] = {"stop broker", "kill broker", "pause broker"};
  Say(std::string(kHow[how]), "broker");
  if (how == 2) {
    installation_.broker->Pause();
    Last(milliseconds{Draw(500, 4000)});
    installation_.broker->Continue();
    return true;
  }
  how == 0 ? installation_.broker->Stop() : installation_.broker->Kill();
  Last(milliseconds{Draw(200, 3000)});
  installation_.broker->Restart();
  return true;
}

bool RowFaults::TooLarge() {
  Say("a record too large for the broker", "database");
  auto shop = installation_.Connect(installation_.source_databases.at("shop"));
  auto watch = installation_.Connect(installation_.source_databases.at("shop"));
  const std::string payload =
      fmt::format(R"({{"dedupe_key": "large-{:08x}", "channel": "ops", "message": {{"text": "{}"}}}})", random_(),
                  std::string(1'200'000, 'x'));
  ++foreign_events_;
  const auto inserted =
      shop->Execute("INSERT INTO outbox (aggregateid, payload) VALUES ('large', ?)", {std::string_view(payload)});
  if (!inserted) return false;
  const std::uint64_t seq = inserted->insert_id;
  return WaitUntil([&] {
    const auto rows = watch->Execute("SELECT COUNT(*) FROM outbox_dead WHERE seq = ?", {seq});
    return rows && rows->rows.front().Int(0) == 1;
  });
}

bool RowFaults::Garbage() {
  Say("garbage in the topic", "broker");
  auto producer = kafka::KafkaProducer::Create(installation_.broker->Options());
  if (!producer) return false;
  const std::vector<std::string> values = {
      "", "\xff\xfe", "{", std::string(3000, '['), R"({"dedupe_key": 1})", std::string("\0\0\0", 3)};
  for (const std::string& value : values) {
    if (!(*producer)->Produce({.topic = kTopic, .key = fmt::format("garbage-{}", Draw(0, 9)), .value = value})) {
      return false;
    }
    ++foreign_events_;
  }
  std::vector<kafka::DeliveryReport> reports;
  return WaitUntil([&] {
    (*producer)->Poll(milliseconds{50}, reports);
    return reports.size() == values.size() &&
           std::ranges::all_of(reports, [](const auto& r) { return r.kind == kafka::DeliveryReport::Kind::kAcked; });
  });
}

bool RowFaults::VendorFault(fake_im::Fault fault) {
  fault.path = "/open-apis/bot/v2/hook/";
  const int id = installation_.vendor->AddFault(fault);
  return WaitUntil([&] {
    const auto faults = installation_.vendor->faults();
    return std::ranges::any_of(faults,
                               [&](const fake_im::Fault& one) { return one.id == id && one.fired >= one.times; });
  });
}

bool RowFaults::Throttle() {
  const bool code = Draw(0, 1) == 0;
  Say(code ? "body code 11232" : "HTTP 429", "vendor");
  fake_im::Fault fault;
  fault.times = static_cast<std::size_t>(Draw(1, 8));
  if (code) {
    fault.kind = fake_im::FaultKind::kCode;
    fault.n = 11232;
    fault.text = "frequency limited";
  } else {
    fault.kind = fake_im::FaultKind::kStatusOnly;
    fault.n = 429;
  }
  return VendorFault(fault);
}

bool RowFaults::LoseReply() {
  static constexpr fake_im::FaultKind kKinds[] = {
      fake_im::FaultKind::kAcceptThenReset, fake_im::FaultKind::kAcceptThenTimeout, fake_im::FaultKind::kAcceptThen504};
  fake_im::Fault fault;
  fault.kind = kKinds[Draw(0, 2)];
  fault.times = static_cast<std::size_t>(Draw(1, 4));
  Say(std::string(ToString(fault.kind)), "vendor");
  return VendorFault(fault);
}

bool RowFaults::TwoGroups() {
  Say("two consumer groups at once", "process");
  const std::string_view slot = "consumer-9";
  installation_.StartInAnotherGroup(slot);
  const bool reads = WaitUntil([&] {
    const std::string metrics = installation_.Scrape(slot);
    const std::size_t at = metrics.find("\noutrider_consumer_records_total{result=\"duplicate\"} ");
    return at != std::string::npos && metrics.compare(metrics.find("} ", at) + 2, 2, "0\n") != 0;
  });
  Last(milliseconds{1000});
  installation_.Terminate(slot);
  return reads;
}

std::string RowFaults::Request(std::string_view channel, std::string_view text, std::string_view ordering_key) {
  const std::string key = fmt::format("{}-{}-{:08x}", channel, ++late_, random_());
  const std::string payload =
      fmt::format(R"({{"dedupe_key": "{}", "channel": "{}", "message": {{"text": "{}"}}{}}})", key, channel, text,
                  ordering_key.empty() ? "" : fmt::format(R"(, "ordering_key": "{}")", ordering_key));
  const std::string_view aggregate = ordering_key.empty() ? std::string_view(key) : ordering_key;
  auto shop = installation_.Connect(installation_.source_databases.at("shop"));
  const auto inserted =
      shop->Execute("INSERT INTO outbox (aggregateid, payload) VALUES (?, ?)", {aggregate, std::string_view(payload)});
  if (!inserted) return "";
  ++foreign_events_;
  return WaitUntil([&] { return !StatusOf(key).empty(); }) ? key : "";
}

std::string RowFaults::StatusOf(std::string_view dedupe_key) {
  auto records = installation_.Connect(installation_.records_database);
  const auto rows = records->Execute(
      "SELECT CONCAT_WS(' ', status, reason) FROM notification_records WHERE dedupe_key = ?", {dedupe_key});
  return rows && !rows->rows.empty() ? rows->rows.front().Text(0) : "";
}

bool RowFaults::CrashLoop() {
  Say("a record that ends the process", "process");
  for (const auto slot : kConsumers) installation_.Kill(slot);
  const std::map<std::string, std::string> broken = {{"OUTRIDER_ALLOW_FAILPOINTS", "1"},
                                                     {"OUTRIDER_FAILPOINT", "mock.before_taking=crash"}};
  const std::string_view slot = kConsumers[0];
  installation_.Start(slot, broken);
  const std::string key = Request(kPoison, "poison");
  auto records = installation_.Connect(installation_.records_database);
  const auto given_up = [&] { return StatusOf(key).starts_with("dead"); };
  int deaths = 0;
  while (!key.empty() && !given_up() && deaths < 2 * kPoisonAttempts) {
    if (!installation_.Runs(slot)) {
      if (!installation_.AwaitCrash(slot, milliseconds{0})) break;
      ++deaths;
      installation_.Start(slot, broken);
    }
    const bool news = WaitUntil(
        [&] {
          // It comes again at once, and not when its back-off says.
          records->Execute("UPDATE notification_records SET due_at = NOW(6) WHERE status = 'failed' AND dedupe_key = ?",
                           {std::string_view(key)});
          return !installation_.Runs(slot) || given_up();
        },
        kCrashTimeout);
    if (!news) break;
  }
  const bool fired = deaths == kPoisonAttempts && StatusOf(key) == "dead attempts_exhausted";
  if (!fired) fmt::print(stderr, "crash loop: {} deaths, \"{}\"\n", deaths, StatusOf(key));
  installation_.Terminate(slot);
  installation_.StartAll();
  return fired;
}

bool RowFaults::ManyScanners() {
  Say("many scanners at once", "process");
  static constexpr std::string_view kMore[] = {"consumer-3", "consumer-4", "consumer-5", "consumer-6"};
  for (const auto slot : kMore) installation_.Start(slot);
  auto records = installation_.Connect(installation_.records_database);
  // Six members for four partitions: at least two of the new ones get some, and hold their shards.
  const auto owners = [&] {
    const auto rows = records->Execute(
        "SELECT COUNT(DISTINCT owner) FROM consumer_shards WHERE owner <> '' AND lease_until > UTC_TIMESTAMP(6)");
    return rows ? rows->rows.front().Int(0) : 0;
  };
  const bool shared = WaitUntil([&] { return owners() >= 3; });
  Last(milliseconds{Draw(500, 1500)});
  installation_.Kill(kMore[static_cast<std::size_t>(Draw(0, 3))]);
  Last(milliseconds{Draw(500, 1500)});
  for (const auto slot : kMore) {
    if (installation_.Runs(slot)) installation_.Terminate(slot);
  }
  return shared;
}

bool RowFaults::HoldKey() {
  Say("the head of a key fails", "vendor");
  const auto gate = std::ranges::find(installation_.bots, true, &Bot::blocks);
  fake_im::Fault fault;
  fault.kind = fake_im::FaultKind::kCode;
  fault.path = "/open-apis/bot/v2/hook/" + gate->token;
  fault.n = 19024;
  fault.text = "Key Words Not Found";
  installation_.vendor->AddFault(fault);
  const std::string ordering_key = fmt::format("held-{:08x}", random_());
  std::vector<std::string> keys;
  for (const char* const text : {"first", "second", "third"}) {
    keys.push_back(Request(gate->channel, text, ordering_key));
    if (keys.back().empty()) return false;
  }
  if (!WaitUntil([&] { return StatusOf(keys[0]) == "dead feishu_19024"; })) return false;
  // It holds over a restart, and says so.
  installation_.Kill(AnyOf(kConsumers));
  installation_.StartAll();
  const bool told = WaitUntil([&] {
    const auto shown = installation_.Command({"show", keys[1]});
    return shown.code == 0 && shown.out.find("blocked by record") != std::string::npos;
  });
  Last(milliseconds{1500});
  const bool held = StatusOf(keys[1]) == "pending" && StatusOf(keys[2]) == "pending";
  ++actions_;
  const auto discarded = installation_.Command({"dlq", "discard", "--key", keys[0], "--reason", "row 51", "--yes"});
  const bool went_on = WaitUntil([&] { return StatusOf(keys[1]) == "sent" && StatusOf(keys[2]) == "sent"; });
  if (!told || !held || discarded.code != 0 || !went_on) {
    fmt::print(stderr, "held key: told {}, held {}, discard {} {}, went on {}\n", told, held, discarded.code,
               discarded.err, went_on);
  }
  return told && held && discarded.code == 0 && went_on;
}

}  // namespace outrider::fault
