// MockKafka: librdkafka's own cluster in memory, for answers that a real broker won't give on demand.
//
// It knows no order of sequences, no sizes and no rights: it answers as it's told, else it stores. Keeps some 5 MiB for
// each partition. Threads: any. Error codes and API keys are librdkafka's and the protocol's numbers.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "platform/kafka/options.h"

namespace outrider::testing {

class MockKafka final {
 public:
  explicit MockKafka(int brokers = 1);
  ~MockKafka();
  MockKafka(const MockKafka&) = delete;
  MockKafka& operator=(const MockKafka&) = delete;

  static constexpr int kProduce = 0;
  static constexpr int kOffsetCommit = 8;
  static constexpr int kJoinGroup = 11;
  static constexpr int kSyncGroup = 14;

  std::string brokers() const;
  kafka::KafkaOptions Options() const { return {brokers(), {}}; }
  void CreateTopic(const std::string& name, int partitions = 1);
  // The next requests of that kind are answered so, one each; 0 is no error.
  void Answer(int api_key, const std::vector<int>& errors);
  // The next request of that kind to broker `id` (1, 2, ...) is answered so, after `delay`.
  void AnswerLate(int id, int api_key, int error, std::chrono::milliseconds delay);
  // What metadata says of a topic, from now on.
  void SetTopicError(const std::string& topic, int error);
  void SetLeader(const std::string& topic, int partition, int id);
  void Down(int id);
  void Up(int id);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace outrider::testing
