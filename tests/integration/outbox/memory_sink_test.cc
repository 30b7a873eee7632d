// The memory sink passes what Kafka's passes, so that tests over it say something about the real one.
#include "tests/support/memory_sink/memory_sink.h"

#include "tests/support/memory_sink/event_sink_contract.h"

namespace outrider::testing {

INSTANTIATE_TEST_SUITE_P(
    MemorySink, EventSinkContract, ::testing::Values(SinkFactory([] {
      return SinkUnderTest{{}, std::make_unique<MemorySink>(), "notification", "outbox.event.notification"};
    })));
INSTANTIATE_TEST_SUITE_P(
    SmallMemorySink, EventSinkContract, ::testing::Values(SinkFactory([] {
      return SinkUnderTest{{}, std::make_unique<MemorySink>(100), "notification", "outbox.event.notification"};
    })));

}  // namespace outrider::testing
