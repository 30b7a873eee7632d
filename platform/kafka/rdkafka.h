// librdkafka's C handles with their ends, and its errors in our words. For this folder only: nothing outside sees
// librdkafka.
#pragma once

#include <librdkafka/rdkafka.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/result.h"
#include "platform/kafka/options.h"

namespace outrider::kafka {

template <auto kDestroy>
struct Destroy {
  template <class T>
  void operator()(T* handle) const {
    kDestroy(handle);
  }
};

using Client = std::unique_ptr<rd_kafka_t, Destroy<rd_kafka_destroy>>;
using Conf = std::unique_ptr<rd_kafka_conf_t, Destroy<rd_kafka_conf_destroy>>;
using Topic = std::unique_ptr<rd_kafka_topic_t, Destroy<rd_kafka_topic_destroy>>;
using Headers = std::unique_ptr<rd_kafka_headers_t, Destroy<rd_kafka_headers_destroy>>;
using Message = std::unique_ptr<rd_kafka_message_t, Destroy<rd_kafka_message_destroy>>;
using Queue = std::unique_ptr<rd_kafka_queue_t, Destroy<rd_kafka_queue_destroy>>;
using QueuedEvent = std::unique_ptr<rd_kafka_event_t, Destroy<rd_kafka_event_destroy>>;
using PartitionList = std::unique_ptr<rd_kafka_topic_partition_list_t, Destroy<rd_kafka_topic_partition_list_destroy>>;

using Settings = std::vector<std::pair<std::string_view, std::string_view>>;

// The brokers, then `defaults`, then the user's properties, then `fixed`; no log. kInvalid names every property that
// CheckProperties() refuses.
Result<Conf> MakeConf(const KafkaOptions& options, const Settings& defaults, const Settings& fixed);
// Takes the configuration. kInvalid with librdkafka's words.
Result<Client> MakeClient(rd_kafka_type_t type, Conf conf);

// "Broker: Message size too large", with `detail` behind it where there is one.
std::string Words(rd_kafka_resp_err_t error, std::string_view detail = {});

}  // namespace outrider::kafka
