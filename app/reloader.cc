#include "app/reloader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace outrider::app {
namespace {

// The codes of `channels` that `others` lacks, or has otherwise, between commas.
std::string Missing(const Config& config, const Config& others, bool changed) {
  std::vector<std::string> codes;
  for (const providers::ChannelSettings& channel : config.channels) {
    const auto same_code = [&](const providers::ChannelSettings& other) { return other.code == channel.code; };
    const auto other = std::find_if(others.channels.begin(), others.channels.end(), same_code);
    const bool there = other != others.channels.end();
    if (changed ? there && *other != channel : !there) codes.push_back(channel.code);
  }
  return fmt::format("{}", fmt::join(codes, ","));
}

}  // namespace

Reloader::Reloader(ConfigInput input, Config running, std::vector<std::string> files, Log& log,
                   std::function<void(const Config&)> apply)
    : input_(std::move(input)),
      running_(std::move(running)),
      files_(std::move(files)),
      log_(log),
      apply_(std::move(apply)),
      read_(Stamp()),
      looked_(read_) {}

std::string Reloader::Stamp() const {
  std::string stamp;
  for (const std::string& file : files_) {
    struct stat now {};
    if (stat(file.c_str(), &now) != 0) {
      stamp += "absent;";
      continue;
    }
    fmt::format_to(std::back_inserter(stamp), "{}:{}:{}:{}.{}:{}.{};", now.st_dev, now.st_ino, now.st_size,
                   now.st_mtim.tv_sec, now.st_mtim.tv_nsec, now.st_ctim.tv_sec, now.st_ctim.tv_nsec);
  }
  return stamp;
}

void Reloader::Look() {
  std::string now = Stamp();
  const bool settled = now == looked_;
  looked_ = std::move(now);
  if (settled && looked_ != read_) Reload();
}

void Reloader::Reload() {
  read_ = looked_ = Stamp();  // before the reading: what changes meanwhile is read again
  ConfigReading reading = ReadConfig(input_);
  if (!reading.faults.empty()) {
    for (const std::string& fault : reading.faults) log_.Error("config.fault", {{"what", fault}});
    log_.Error("config.refused", {{"faults", reading.faults.size()}, {"why", "the one before stays in force"}});
    return;
  }
  if (const std::vector<std::string> names = NeedRestart(running_, reading.config); !names.empty()) {
    log_.Error("config.refused",
               {{"needs_restart", fmt::format("{}", fmt::join(names, ","))},
                {"why", "these can't change while the program runs; the whole configuration before stays in force"}});
    return;
  }
  apply_(reading.config);
  log_.SetLevel(reading.config.log.level);
  log_.Info("config.reloaded", {{"channels", reading.config.channels.size()},
                                {"added", Missing(reading.config, running_, false)},
                                {"changed", Missing(reading.config, running_, true)},
                                {"removed", Missing(running_, reading.config, false)}});
  running_ = std::move(reading.config);
  files_ = std::move(reading.files);
  read_ = looked_ = Stamp();
}

}  // namespace outrider::app
