#include "platform/crypto/sealer.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "platform/crypto/hmac.h"

namespace outrider::crypto {
namespace {

SealingKey Key(const std::string& id, char fill) { return {id, Secret(std::string(kSealingKeyBytes, fill))}; }

TEST(SealerTest, WhatWasSealedOpensWithItsKeyAndContext) {
  const Sealer sealer({Key("k1", 'a')});
  for (const std::string& text : {std::string(), std::string("a\0b", 3), std::string(1 << 20, 'x')}) {
    const auto sealed = sealer.Seal(text, "record 1");
    ASSERT_TRUE(sealed);
    EXPECT_EQ(sealed->key_id, "k1");
    EXPECT_EQ(sealer.Open("k1", sealed->bytes, "record 1"), text);
  }
}

TEST(SealerTest, WithoutAKeyNothingIsSealed) {
  const Sealer sealer;
  EXPECT_FALSE(sealer.has_keys());
  EXPECT_FALSE(sealer.Seal("text", ""));
  EXPECT_EQ(sealer.first_key(), "");
}

TEST(SealerTest, NothingOfTheTextIsInWhatIsSealedAndNoTwoSealsAreEqual) {
  const Sealer sealer({Key("k1", 'a')});
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const std::string bytes = sealer.Seal("canary0123456789", "c")->bytes;
    EXPECT_EQ(bytes.find("canary"), std::string::npos);
    EXPECT_TRUE(seen.insert(bytes).second);
    EXPECT_TRUE(seen.insert(bytes.substr(1, 28)).second);
  }
}

TEST(SealerTest, EveryChangedByteIsNoticed) {
  const Sealer sealer({Key("k1", 'a')});
  const std::string bytes = sealer.Seal("text", "c")->bytes;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(sealer.Open("k1", changed, "c")) << i;
    EXPECT_FALSE(sealer.Open("k1", bytes.substr(0, i), "c")) << i;
  }
  EXPECT_FALSE(sealer.Open("k1", bytes + "x", "c"));
}

TEST(SealerTest, ASealedTextOpensNowhereElseAndUnderNoOtherKey) {
  const Sealer sealer({Key("k1", 'a'), Key("k2", 'b')});
  const std::string bytes = sealer.Seal("text", "record 1")->bytes;
  EXPECT_FALSE(sealer.Open("k1", bytes, "record 2"));
  EXPECT_FALSE(sealer.Open("k2", bytes, "record 1"));
  EXPECT_FALSE(sealer.Open("k3", bytes, "record 1"));
}

TEST(SealerTest, TheFirstKeySealsAndEveryKeyOpens) {
  Sealer sealer({Key("old", 'a')});
  const auto before = sealer.Seal("text", "c");
  sealer.SetKeys({Key("new", 'b'), Key("old", 'a')});
  EXPECT_EQ(sealer.Seal("text", "c")->key_id, "new");
  EXPECT_EQ(sealer.Open("old", before->bytes, "c"), "text");
  EXPECT_TRUE(sealer.Knows("old"));
  sealer.SetKeys({Key("new", 'b')});
  EXPECT_FALSE(sealer.Knows("old"));
  EXPECT_FALSE(sealer.Open("old", before->bytes, "c"));
}

TEST(SealerTest, MacsAreKeyedAndKnowTheirPurpose) {
  const Sealer sealer({Key("k1", 'a'), Key("k2", 'b')});
  const auto macs = sealer.Macs("recipient", "phone:+861");
  ASSERT_EQ(macs.size(), 2U);
  EXPECT_EQ(macs[0].key_id, "k1");
  EXPECT_EQ(macs[0].bytes, HmacSha256(std::string(32, 'a'), "outrider recipient\nphone:+861"));
  EXPECT_NE(macs[0].bytes, macs[1].bytes);
  EXPECT_NE(macs[0].bytes, sealer.Macs("content", "phone:+861")[0].bytes);
}

TEST(SealerTest, AKeyIsReadAsHexAndAsBase64AndAsNothingElse) {
  const std::string raw = RandomBytes(kSealingKeyBytes);
  std::string hex;
  for (const unsigned char c : raw) {
    hex += "0123456789ABCDEF"[c / 16];
    hex += "0123456789abcdef"[c % 16];
  }
  EXPECT_EQ(ParseSealingKey(hex)->Reveal(), raw);
  EXPECT_EQ(ParseSealingKey(Base64(raw))->Reveal(), raw);
  for (const std::string& wrong : {std::string(), Base64("short"), Base64(raw + "x"), std::string(64, 'g'),
                                   hex.substr(2), std::string("a pass phrase")}) {
    EXPECT_FALSE(ParseSealingKey(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace outrider::crypto
