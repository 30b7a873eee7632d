// NotificationService: what SmartFlow's notification service does, as its contract tests see it: an event is handled,
// time passes, what is due is tried again. MemoryService keeps its records in a map and applies the rules of settlement
// (consumer/settlement.h) to them; DatabaseService is ingest and delivery on a real server. One suite runs on both.
// Threads: one. Errors: std::runtime_error.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace outrider::consumer {

struct RetryCounts {
  std::size_t scanned = 0, retried = 0, sent = 0, failed = 0, dead = 0, skipped = 0;
  friend bool operator==(const RetryCounts&, const RetryCounts&) = default;
};

struct NotificationState {
  std::string status;  // empty: there is no record
  std::string error_code;
  int attempts = 0;
  std::chrono::seconds next_retry{0};  // after the last attempt; zero: none
  bool has_message_id = false;
  std::string text;  // what is sent
  std::string fallback_used;
};

class NotificationService {
 public:
  virtual ~NotificationService() = default;
  // "recorded", "reused", or "rejected" and the reason.
  virtual std::string Handle(const std::string& event) = 0;
  // Tries everything that is due, once, to its end.
  virtual RetryCounts Retry() = 0;
  // A process takes it up and dies before it has an answer. Its lease is kLease.
  virtual void Interrupt(const std::string& dedupe_key) = 0;
  static constexpr std::chrono::seconds kLease{60};
  virtual void Pass(std::chrono::seconds time) = 0;
  virtual void SetMode(const std::string& mode) = 0;  // the mock's
  virtual void Disable() = 0;
  virtual NotificationState Find(const std::string& dedupe_key) = 0;
  virtual std::size_t records() = 0;
};

std::unique_ptr<NotificationService> MakeMemoryService();
std::unique_ptr<NotificationService> MakeDatabaseService();

}  // namespace outrider::consumer
