#include "app/dead_letters.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "app/output.h"
#include "app/person.h"
#include "consumer/record_actions.h"
#include "consumer/record_query.h"
#include "model/text.h"
#include "model/time.h"

namespace outrider::app {
namespace {

using consumer::ActionJob;
using consumer::RecordActions;
using consumer::RecordFilter;
using std::chrono::milliseconds;
using Time = std::chrono::steady_clock::time_point;

constexpr std::size_t kBatch = 500;
constexpr std::size_t kBatchesASecond = 5;  // at least, when a rate is kept
constexpr std::size_t kPool = 2;
constexpr std::size_t kPage = 50;
constexpr int kPatience = 8;  // failures in a row
constexpr milliseconds kFirstBackOff{100};
constexpr milliseconds kLongestBackOff{5'000};
constexpr milliseconds kTellEvery{2'000};

// Nothing when the text is neither a time nor an age.
std::optional<Timestamp> ReadTime(const std::string& text) {
  if (const auto time = ParseRfc3339(text)) return time;
  const auto age = ParseDuration(text);
  if (!age) return std::nullopt;
  return SystemClock().Now() - *age;
}

// Nothing, and why, when something in it can't be read.
std::optional<RecordFilter> ReadChoice(const RecordChoice& choice, std::string& fault) {
  RecordFilter filter;
  const auto status = ParseDeliveryStatus(choice.status);
  if (status != DeliveryStatus::kDead && status != DeliveryStatus::kSkipped) {
    fault = fmt::format("--status is dead or skipped, not \"{}\"", choice.status);
    return std::nullopt;
  }
  filter.status = *status;
  filter.tenant = choice.tenant;
  filter.channel = choice.channel;
  filter.reason = choice.cause;
  filter.dedupe_key = TrimSpace(choice.key);
  filter.limit = choice.limit;
  const auto read = [&](const char* name, const std::string& text, std::optional<Timestamp>& time) {
    if (text.empty()) return;
    time = ReadTime(text);
    if (!time)
      fault = fmt::format("{} \"{}\" is neither a time such as 2026-01-31T08:00:00Z nor an age such as 2h", name, text);
  };
  read("--before", choice.before, filter.before);
  read("--after", choice.after, filter.after);
  if (!fault.empty()) return std::nullopt;
  return filter;
}

consumer::KeyPolicy PolicyOf(const Config& config) {
  return [&config](std::string_view code) {
    return std::ranges::any_of(config.channels, [&](const providers::ChannelSettings& channel) {
      return channel.code == code && channel.ordering == providers::OnDeadHead::kBlock;
    });
  };
}

std::string_view VerbOf(DeliveryEvent event) {
  if (event == DeliveryEvent::kReplayed) return "replay";
  return event == DeliveryEvent::kDiscarded ? "discard" : "cancel";
}

// How a job ended.
struct JobEnd {
  std::size_t changed = 0;
  std::optional<Error> error;
  bool interrupted = false;
};

// Runs a job from its beginning or from where it stopped; the audit log knows what was done, whatever answers got lost.
class JobRun final {
 public:
  JobRun(RecordActions& actions, const ActionJob& job, std::size_t planned, std::size_t rate)
      : actions_(actions), job_(job), planned_(planned), rate_(rate) {}

  JobEnd Run() {
    JobEnd result;
    const Interruption interruption;
    const Time began = std::chrono::steady_clock::now();
    Time told = began;
    std::int64_t place = 0;
    std::size_t changed = 0;
    int failures = 0;
    milliseconds back_off = kFirstBackOff;
    while (changed < planned_ && !interruption.came()) {
      auto batch = actions_.RunBatch(job_, place, std::min(BatchSize(), planned_ - changed));
      if (!batch) {
        if (batch.error().code == ErrorCode::kInvalid || ++failures == kPatience) {
          result.error = batch.error();
          break;
        }
        interruption.Sleep(back_off);
        back_off = std::min(back_off * 2, kLongestBackOff);
        // A commit whose answer was lost may have been made.
        if (const auto done = actions_.Resume(job_.id)) changed = done->done - before_;
        continue;
      }
      failures = 0;
      back_off = kFirstBackOff;
      changed += batch->changed;
      if (batch->last_id > 0) place = batch->last_id;
      if (batch->finished) break;
      const Time now = std::chrono::steady_clock::now();
      if (now - told >= kTellEvery) {
        Say(fmt::format("{} of {} done", changed, planned_));
        told = now;
      }
      if (rate_ > 0) {
        const auto due = began + std::chrono::microseconds(changed * 1'000'000 / rate_);
        interruption.Sleep(std::chrono::ceil<milliseconds>(due - now));
      }
    }
    result.interrupted = interruption.came();
    result.changed = changed;
    return result;
  }
  void StartsAfter(std::size_t done) { before_ = done; }

 private:
  std::size_t BatchSize() const {
    return rate_ == 0 ? kBatch : std::clamp<std::size_t>(rate_ / kBatchesASecond, 1, kBatch);
  }

  RecordActions& actions_;
  const ActionJob& job_;
  const std::size_t planned_;
  const std::size_t rate_;
  std::size_t before_ = 0;
};

void TellWhatIsLeftAlone(const RecordActions::Preview& preview) {
  if (preview.without_body > 0) {
    Say(fmt::format("{} left alone: what was to be sent is gone (private, or past its retention)",
                    Counted(preview.without_body, "record")));
  }
  if (preview.expired > 0) Say(fmt::format("{} left alone: expired", Counted(preview.expired, "record")));
}

void Print(const ActionJob& job, std::size_t matched, std::size_t changed, bool dry_run, OutputFormat format) {
  const std::string_view verb = VerbOf(job.event);
  if (format == OutputFormat::kJson) {
    nlohmann::ordered_json json;
    json["action"] = verb;
    json["matched"] = matched;
    json["changed"] = changed;
    json["dry_run"] = dry_run;
    json["job"] = dry_run ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(job.id);
    fmt::print("{}\n", json.dump(2));
  } else {
    fmt::print(
        "{}",
        Table({"ACTION", "MATCHED", "CHANGED", "JOB"},
              {{std::string(verb), std::to_string(matched), std::to_string(changed), dry_run ? "dry run" : job.id}}));
  }
}

int Conclude(const ActionJob& job, const JobEnd& result, std::size_t planned, OutputFormat format) {
  Print(job, planned, result.changed, false, format);
  if (result.error) Failed(fmt::format("the job stopped after {}", Counted(result.changed, "record")), *result.error);
  const bool unfinished = result.interrupted || result.error;
  if (unfinished && result.changed < planned) {
    Say(fmt::format("{} of {} done; go on with: outrider dlq {} --resume {}", result.changed, planned,
                    VerbOf(job.event), job.id));
  } else if (result.changed < planned) {
    Say(fmt::format("{} had been changed by somebody else meanwhile", Counted(planned - result.changed, "record")));
  }
  if (result.changed >= planned) return kExitOk;
  return result.error && result.changed == 0 ? kExitFailed : kExitPartly;
}

}  // namespace

int ListDead(const Config& config, const RecordChoice& choice, std::int64_t before_id, OutputFormat format) {
  std::string fault;
  auto filter = ReadChoice(choice, fault);
  if (!filter) {
    Say(fault);
    return kExitUsage;
  }
  if (filter->limit == 0) filter->limit = kPage;
  auto connection = mysql::MysqlConnection::Open(config.database);
  if (!connection) return Failed("the database can't be reached", connection.error());
  const auto records = consumer::ListRecords(**connection, *filter,
                                             before_id > 0 ? std::optional<std::int64_t>(before_id) : std::nullopt);
  if (!records) return Failed("the records can't be read", records.error());
  fmt::print("{}", format == OutputFormat::kJson ? StoryJson(*records) : RecordTable(*records));
  if (records->size() == filter->limit) Say(fmt::format("more may follow: --before-id {}", records->back().id));
  return kExitOk;
}

int ShowRecord(const Config& config, std::int64_t id, OutputFormat format) {
  auto connection = mysql::MysqlConnection::Open(config.database);
  if (!connection) return Failed("the database can't be reached", connection.error());
  const auto record = consumer::FindById(**connection, id);
  if (!record) return Failed("the record can't be read", record.error());
  if (!*record) {
    Say(fmt::format("there is no record {}", id));
    return kExitFailed;
  }
  fmt::print("{}", format == OutputFormat::kJson ? StoryJson({**record}) : Story(**record, ColourWanted()));
  return kExitOk;
}

int ActOnDead(const Config& config, DeliveryEvent event, const RecordChoice& choice, const ActionOptions& options,
              OutputFormat format) {
  if (const auto code = CheckOptions(options)) return *code;
  std::string fault;
  auto filter = ReadChoice(choice, fault);
  if (!filter) {
    Say(fault);
    return kExitUsage;
  }
  mysql::MysqlPool pool(config.database, kPool);
  RecordActions actions(pool, PolicyOf(config));
  ActionJob job;
  std::size_t before = 0;
  if (options.resume.empty()) {
    auto begun = actions.Begin(event, std::move(*filter), Actor(), options.reason);
    if (!begun) return Failed("the database can't be reached", begun.error());
    job = std::move(*begun);
  } else {
    auto resumed = actions.Resume(options.resume);
    if (!resumed) return Failed("the job can't go on", resumed.error());
    if (resumed->job.event != event) {
      Say(fmt::format("job {} is to {}", options.resume, VerbOf(resumed->job.event)));
      return kExitUsage;
    }
    job = std::move(resumed->job);
    before = resumed->done;
    if (job.filter.limit > 0) {
      if (before >= job.filter.limit) {
        Print(job, 0, 0, options.dry_run, format);
        return kExitOk;
      }
      job.filter.limit -= before;
    }
  }
  const auto preview = actions.Look(job);
  if (!preview) return Failed("the records can't be counted", preview.error());
  TellWhatIsLeftAlone(*preview);
  if (options.dry_run || preview->records == 0) {
    Print(job, preview->records, 0, options.dry_run, format);
    return kExitOk;
  }
  if (const auto code = AskWhether(options, preview->records,
                                   fmt::format("{} {}", VerbOf(event), Counted(preview->records, "record"))))
    return *code;
  Say(fmt::format("job {}: {}", job.id, Counted(preview->records, "record")));
  JobRun run(actions, job, preview->records, *ReadRate(options.rate));
  run.StartsAfter(before);
  return Conclude(job, run.Run(), preview->records, format);
}

int Cancel(const Config& config, const RecordChoice& choice, const ActionOptions& options, OutputFormat format) {
  if (const auto code = CheckOptions(options)) return *code;
  mysql::MysqlPool pool(config.database, kPool);
  std::vector<consumer::RecordView> records;
  {
    auto connection = pool.Acquire();
    if (!connection) return Failed("the database can't be reached", connection.error());
    auto found = consumer::FindByKey(**connection, choice.key);
    if (!found) return Failed("the records can't be read", found.error());
    records = std::move(*found);
  }
  std::erase_if(records, [&](const consumer::RecordView& record) {
    return (!choice.channel.empty() && record.channel != choice.channel) ||
           (!choice.tenant.empty() && record.tenant != choice.tenant);
  });
  if (records.empty()) {
    Say(fmt::format("there is no record of \"{}\"; \"outrider show\" tells more", EscapeUnprintable(choice.key)));
    return kExitFailed;
  }
  const auto waits = [](const consumer::RecordView& record) {
    return Next(record.status, DeliveryEvent::kCancelled).has_value();
  };
  const auto waiting = std::ranges::count_if(records, waits);
  if (waiting > 1) {
    fmt::print(stderr, "{}", RecordTable(records));
    Say("several notifications have that key: choose one with --channel or --tenant");
    return kExitUsage;
  }
  if (waiting == 0) {
    for (const consumer::RecordView& record : records) {
      Say(record.status == DeliveryStatus::kSending
              ? fmt::format("record {} is on its way to the provider: nothing was cancelled", record.id)
              : fmt::format("record {} has ended: {} {}", record.id, ToString(record.status), record.reason));
    }
    return kExitFailed;
  }
  const consumer::RecordView& chosen = *std::ranges::find_if(records, waits);
  RecordFilter filter;
  filter.dedupe_key = chosen.dedupe_key;
  filter.channel = chosen.channel;
  filter.tenant = chosen.tenant;
  RecordActions actions(pool, PolicyOf(config));
  auto job = actions.Begin(DeliveryEvent::kCancelled, filter, Actor(), options.reason);
  if (!job) return Failed("the database can't be reached", job.error());
  if (options.dry_run) {
    Print(*job, 1, 0, true, format);
    return kExitOk;
  }
  return Conclude(*job, JobRun(actions, *job, 1, 0).Run(), 1, format);
}

}  // namespace outrider::app
