// TopicEnds: how many records a topic's partitions were given so far, as the brokers tell, without reading any.
//
// Threads: one at a time. Errors: std::runtime_error.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace outrider::testing {

class TopicEnds final {
 public:
  TopicEnds(const std::string& brokers, std::string topic, int partitions);
  ~TopicEnds();
  TopicEnds(const TopicEnds&) = delete;
  TopicEnds& operator=(const TopicEnds&) = delete;

  // The sum of the partitions' next offsets.
  std::int64_t Count() const;

 private:
  struct Client;
  const std::unique_ptr<Client> client_;
  const std::string topic_;
  const int partitions_;
};

}  // namespace outrider::testing
