#include "consumer/sealed_request.h"

#include <gtest/gtest.h>

#include "model/dedupe_key.h"
#include "platform/crypto/hmac.h"
#include "tests/unit/consumer/event_builder.h"

namespace outrider::consumer {
namespace {

crypto::SealingKey Key(const std::string& id) { return {id, Secret(std::string(AsBytes(Sha256(id))))}; }

NotificationRequest Private(const std::string& recipient = "phone:+8613800138000") {
  return ParseRequest(R"({"dedupe_key": "a", "channel": "ops", "message": {"text": "your code is 123456"},
                          "private": true, "recipient": ")" +
                      recipient + "\"}")
      .request.value();
}

// The record that ingest makes of it, as it is read back.
Record RecordOf(const crypto::Sealer& sealer, const NotificationRequest& request) {
  const Digest hash = DedupeHash(request.tenant, request.channel, request.dedupe_key);
  const auto sealed = SealRequest(sealer, request, ToJson(request), hash, Sha256("content")).value();
  Record record;
  record.tenant = request.tenant;
  record.channel = request.channel;
  record.dedupe_key = request.dedupe_key;
  record.sealed_by = sealed.key_id;
  record.request = sealed.text;
  return record;
}

TEST(SealedRequestTest, IsOpenedForItsDelivery) {
  const crypto::Sealer sealer({Key("k1")});
  Record record = RecordOf(sealer, Private());
  EXPECT_EQ(crypto::DecodeBase64(record.request)->find("123456"), std::string::npos);
  EXPECT_FALSE(OpenRequest(record, &sealer));
  EXPECT_EQ(ParseRequest(record.request).request, Private());
}

TEST(SealedRequestTest, OfTheRecipientAKeyedHashIsKept) {
  const crypto::Sealer sealer({Key("k1")});
  const auto seal = [&](const NotificationRequest& request) {
    return SealRequest(sealer, request, ToJson(request), {}, {}).value().recipient;
  };
  EXPECT_TRUE(seal(Private()).starts_with("hmac:k1:"));
  EXPECT_EQ(seal(Private()), seal(Private()));
  EXPECT_NE(seal(Private()), seal(Private("phone:+8613800138001")));
  EXPECT_EQ(seal(Private("")), "");
}

TEST(SealedRequestTest, OfTheContentTheHashIsKeyedToo) {
  const crypto::Sealer sealer({Key("k1"), Key("k2")});
  const auto sealed = SealRequest(sealer, Private(), "{}", {}, Sha256("content")).value();
  ASSERT_EQ(sealed.content_hashes.size(), 2U);
  EXPECT_NE(sealed.content_hashes[0], Sha256("content"));
  EXPECT_NE(sealed.content_hashes[0], sealed.content_hashes[1]);
}

TEST(SealedRequestTest, CopiedToAnotherRecordItDoesNotOpen) {
  const crypto::Sealer sealer({Key("k1")});
  Record record = RecordOf(sealer, Private());
  record.dedupe_key = "b";
  EXPECT_FALSE(OpenRequest(record, &sealer));
  EXPECT_EQ(record.request, "");
}

TEST(SealedRequestTest, WaitsForAKeyThatIsNotThere) {
  crypto::Sealer sealer({Key("k1")});
  Record record = RecordOf(sealer, Private());
  sealer.SetKeys({Key("k2")});
  const auto change = OpenRequest(record, &sealer);
  ASSERT_TRUE(change);
  EXPECT_EQ(change->parked_by, "sealing_key:k1");
  EXPECT_FALSE(IsKeyThere(change->parked_by, &sealer));
  EXPECT_FALSE(IsKeyThere(change->parked_by, nullptr));
  sealer.SetKeys({Key("k2"), Key("k1")});
  EXPECT_TRUE(IsKeyThere(change->parked_by, &sealer));
  EXPECT_FALSE(IsKeyThere("channel_unknown", &sealer));
}

TEST(SealedRequestTest, ARecordThatIsNotSealedIsLeftAlone) {
  Record record;
  record.request = "{}";
  EXPECT_FALSE(OpenRequest(record, nullptr));
  EXPECT_EQ(record.request, "{}");
}

TEST(SealedRequestTest, IsSealedAnewUnderTheFirstKey) {
  crypto::Sealer sealer({Key("k1")});
  Record record = RecordOf(sealer, Private());
  sealer.SetKeys({Key("k2"), Key("k1")});
  record.request = SealAnew(record, sealer).value();
  record.sealed_by = "k2";
  sealer.SetKeys({Key("k2")});
  EXPECT_FALSE(OpenRequest(record, &sealer));
  EXPECT_EQ(ParseRequest(record.request).request, Private());
  record.sealed_by = "k1";
  EXPECT_FALSE(SealAnew(record, sealer));
}

TEST(MayBePrivateTest, FindsThemWhateverIsWrongWithThem) {
  for (const std::string_view value :
       {R"({"private": true})", R"({"private": "yes"})", R"({"private": 1, "message": 5})", R"([{"private": true}])",
        R"({"specversion": "1.0", "data": {"private": true}})", R"({"\u0070rivate": true})",
        R"({"data_base64": "eyJwcml2YXRlIjp0cnVlfQ=="})", R"({"data_base64": "not base64"})", R"({"private": true)",
        R"({"\u0070rivate": tr)", R"(private and not JSON)"}) {
    EXPECT_TRUE(MayBePrivate(value)) << value;
  }
  for (const std::string_view value :
       {R"({"private": false})", R"({"message": {"text": "this is private"}})", "", "garbage",
        "{\"a\":", R"({"data_base64": "e30="})", R"({"private": true, "private": false})"}) {
    EXPECT_FALSE(MayBePrivate(value)) << value;
  }
}

TEST(HideNamesTest, LeavesTheNamesOfTheContractOnly) {
  std::vector<RequestFault> faults = {{"", "x"},
                                      {"/message/text", "x"},
                                      {"/data/metadata/canary", "x"},
                                      {"/attachments/12/url", "x"},
                                      {"/variables/12", "x"},
                                      {"/metadata/a~1b/c", "x"},
                                      {"headers/createdAt", "x"}};
  HideNames(faults);
  std::vector<std::string> pointers;
  for (const RequestFault& fault : faults) pointers.push_back(fault.pointer);
  EXPECT_EQ(pointers, (std::vector<std::string>{"", "/message/text", "/data/metadata/*", "/attachments/12/url",
                                                "/variables/*", "/metadata/*/*", "headers/createdAt"}));
}

TEST(LacksKeyTest, HoldsForPrivateRequestsWithoutAKeyOnly) {
  const crypto::Sealer none;
  const crypto::Sealer some({Key("k1")});
  Event event;
  event.value = ToJson(Private());
  EXPECT_TRUE(LacksKey(event, nullptr));
  EXPECT_TRUE(LacksKey(event, &none));
  EXPECT_FALSE(LacksKey(event, &some));
  event.value = R"({"dedupe_key": "a", "channel": "ops", "message": {"text": "private"}})";
  EXPECT_FALSE(LacksKey(event, nullptr));
  event.value.reset();
  EXPECT_FALSE(LacksKey(event, nullptr));
}

}  // namespace
}  // namespace outrider::consumer
