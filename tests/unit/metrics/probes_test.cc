#include <gtest/gtest.h>

#include <string>

#include "metrics/delivery_probe.h"
#include "metrics/ingest_probe.h"
#include "metrics/relay_probe.h"
#include "tests/unit/metrics/scrape.h"

namespace outrider {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

class ProbesTest : public ::testing::Test {
 protected:
  double Value(const std::string& series) {
    const Scrape scrape = ReadScrape(registry_.Scrape());
    const auto found = scrape.values.find(series);
    return found == scrape.values.end() ? -1 : found->second;
  }

  MetricsRegistry registry_;
};

TEST_F(ProbesTest, ARelaysVerbsBecomeItsSourcesSeries) {
  RelayProbe probe(registry_, "shop");
  probe.Read(3);
  probe.Published("outbox.event.notification", 2);
  probe.PublishFailed("poison");
  probe.Deleted(2);
  probe.MovedToDead(1);
  probe.Leading(true);
  probe.TookOver();
  probe.LostLease();
  EXPECT_EQ(Value(R"(outrider_relay_read_total{source="shop"})"), 3);
  EXPECT_EQ(Value(R"(outrider_relay_published_total{source="shop",topic="outbox.event.notification"})"), 2);
  EXPECT_EQ(Value(R"(outrider_relay_publish_failures_total{class="poison",source="shop"})"), 1);
  EXPECT_EQ(Value(R"(outrider_relay_deleted_total{source="shop"})"), 2);
  EXPECT_EQ(Value(R"(outrider_relay_moved_to_dead_total{source="shop"})"), 1);
  EXPECT_EQ(Value(R"(outrider_relay_leader{source="shop"})"), 1);
  EXPECT_EQ(Value(R"(outrider_relay_takeovers_total{source="shop"})"), 1);
  EXPECT_EQ(Value(R"(outrider_relay_leases_lost_total{source="shop"})"), 1);
}

TEST_F(ProbesTest, TwoSourcesAreCountedApart) {
  RelayProbe shop(registry_, "shop");
  RelayProbe bank(registry_, "bank");
  shop.Read(1);
  bank.Read(5);
  EXPECT_EQ(Value(R"(outrider_relay_read_total{source="shop"})"), 1);
  EXPECT_EQ(Value(R"(outrider_relay_read_total{source="bank"})"), 5);
}

TEST_F(ProbesTest, TheBacklogIsATimestampAndZeroWhenNothingWaits) {
  RelayProbe probe(registry_, "shop");
  probe.Backlog(7, Timestamp(seconds(1'700'000'000)), Timestamp(seconds(1'700'000'060)));
  EXPECT_EQ(Value(R"(outrider_outbox_rows{source="shop"})"), 7);
  EXPECT_EQ(Value(R"(outrider_outbox_oldest_timestamp_seconds{source="shop"})"), 1'700'000'000);
  EXPECT_EQ(Value(R"(outrider_outbox_probe_timestamp_seconds{source="shop"})"), 1'700'000'060);
  probe.Backlog(0, std::nullopt, Timestamp(seconds(1'700'000'065)));
  EXPECT_EQ(Value(R"(outrider_outbox_oldest_timestamp_seconds{source="shop"})"), 0);
}

TEST_F(ProbesTest, TopicsFromDataAreBounded) {
  RelayProbe probe(registry_, "shop");
  for (int i = 0; i < 1000; ++i) probe.Published("outbox.event.t" + std::to_string(i), 1);
  std::size_t series = 0;
  for (const auto& [name, value] : ReadScrape(registry_.Scrape()).values) {
    if (name.starts_with("outrider_relay_published_total")) ++series;
  }
  EXPECT_LE(series, 34u);
  EXPECT_GE(Value(R"(outrider_relay_published_total{source="shop",topic="other"})"), 900);
}

TEST_F(ProbesTest, AgesFallIntoBucketsFromAMillisecondToAnHour) {
  RelayProbe probe(registry_, "shop");
  probe.InsertToPublish(microseconds(900));
  probe.InsertToPublish(std::chrono::hours(1));
  probe.InsertToPublish(std::chrono::hours(2));
  probe.InsertToPublish(milliseconds(-50));
  EXPECT_EQ(Value(R"(outrider_insert_to_publish_seconds_bucket{source="shop",le="0.001"})"), 2);
  EXPECT_EQ(Value(R"(outrider_insert_to_publish_seconds_bucket{source="shop",le="3600"})"), 3);
  EXPECT_EQ(Value(R"(outrider_insert_to_publish_seconds_count{source="shop"})"), 4);
}

TEST_F(ProbesTest, IngestCountsByResult) {
  IngestProbe probe(registry_);
  probe.Recorded(5);
  probe.Duplicates(4);
  probe.Conflicts(3);
  probe.Rejected(2);
  probe.UnknownFields(6);
  probe.OffsetsSkipped(7);
  probe.Assigned(12);
  probe.Rebalanced();
  probe.StoreFailed();
  EXPECT_EQ(Value(R"(outrider_consumer_records_total{result="new"})"), 5);
  EXPECT_EQ(Value(R"(outrider_consumer_records_total{result="duplicate"})"), 4);
  EXPECT_EQ(Value(R"(outrider_consumer_records_total{result="conflict"})"), 3);
  EXPECT_EQ(Value(R"(outrider_consumer_records_total{result="invalid"})"), 2);
  EXPECT_EQ(Value("outrider_consumer_unknown_fields_total"), 6);
  EXPECT_EQ(Value("outrider_ingest_offsets_skipped_total"), 7);
  EXPECT_EQ(Value("outrider_assigned_partitions"), 12);
  EXPECT_EQ(Value("outrider_rebalances_total"), 1);
  EXPECT_EQ(Value("outrider_ingest_store_failures_total"), 1);
}

TEST_F(ProbesTest, ADeliverysVerbsBecomeSeries) {
  DeliveryProbe probe(registry_);
  probe.Transitioned(DeliveryStatus::kSending, DeliveryStatus::kSent, 2);
  probe.Attempted("feishu_bot", "accepted", milliseconds(3));
  probe.Delivered("feishu_bot", seconds(4));
  probe.SettleConflicts(1);
  probe.ClaimConflicts(2);
  probe.LeasesExpired(3);
  probe.BecameUncertain(4);
  probe.Parked(5);
  probe.InFlight(6);
  probe.RateLimited("feishu_bot");
  probe.UnknownCode("feishu_bot");
  EXPECT_EQ(Value(R"(outrider_transitions_total{from="sending",to="sent"})"), 2);
  EXPECT_EQ(Value(R"(outrider_deliveries_total{outcome="accepted",provider="feishu_bot"})"), 1);
  EXPECT_EQ(Value(R"(outrider_delivery_attempt_duration_seconds_bucket{provider="feishu_bot",le="0.002"})"), 0);
  EXPECT_EQ(Value(R"(outrider_delivery_attempt_duration_seconds_bucket{provider="feishu_bot",le="0.005"})"), 1);
  EXPECT_EQ(Value(R"(outrider_delivery_latency_seconds_sum{provider="feishu_bot"})"), 4);
  EXPECT_EQ(Value("outrider_settle_conflicts_total"), 1);
  EXPECT_EQ(Value("outrider_claim_conflicts_total"), 2);
  EXPECT_EQ(Value("outrider_leases_expired_total"), 3);
  EXPECT_EQ(Value("outrider_uncertain_total"), 4);
  EXPECT_EQ(Value("outrider_parked_total"), 5);
  EXPECT_EQ(Value(R"(outrider_inflight{stage="send"})"), 6);
  EXPECT_EQ(Value(R"(outrider_ratelimit_throttled_total{provider="feishu_bot"})"), 1);
  EXPECT_EQ(Value(R"(outrider_provider_unknown_codes_total{provider="feishu_bot"})"), 1);
}

TEST_F(ProbesTest, WhatIsNotInTheClosedSetsCountsAsOther) {
  DeliveryProbe probe(registry_, {.providers = {"feishu_bot"}, .reasons = {"feishu_19024"}});
  probe.Died("attempts_exhausted");
  probe.Died("feishu_19024");
  probe.Died("feishu_99999");
  probe.Attempted("carrier_pigeon", "no_answer", seconds(1));
  EXPECT_EQ(Value(R"(outrider_dead_total{reason="attempts_exhausted"})"), 1);
  EXPECT_EQ(Value(R"(outrider_dead_total{reason="feishu_19024"})"), 1);
  EXPECT_EQ(Value(R"(outrider_dead_total{reason="other"})"), 1);
  EXPECT_EQ(Value(R"(outrider_deliveries_total{outcome="no_answer",provider="other"})"), 1);
}

}  // namespace
}  // namespace outrider
