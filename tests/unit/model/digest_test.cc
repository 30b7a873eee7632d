#include "model/digest.h"

#include "tests/unit/model/property.h"

namespace outrider {
namespace {

std::string HexSha256(std::string_view bytes) { return ToHex(AsBytes(Sha256(bytes))); }

// FIPS 180-2, appendix B, and the empty text.
TEST(DigestTest, Sha256GivesTheStandardsValues) {
  EXPECT_EQ(HexSha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(HexSha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(HexSha256(std::string(1'000'000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(DigestTest, HexIsLowerCaseWithTwoDigitsAByte) {
  EXPECT_EQ(ToHex(""), "");
  EXPECT_EQ(ToHex(std::string_view("\x00\x0f\xa0\xff", 4)), "000fa0ff");
}

TEST(DigestTest, BytesGoBothWays) {
  ExpectProperty([] {
    const Digest digest = Sha256(*GenBytes());
    RC_ASSERT(AsBytes(digest).size() == 32u);
    RC_ASSERT(DigestFromBytes(AsBytes(digest)) == digest);
  });
}

TEST(DigestTest, OnlyThirtyTwoBytesAreADigest) {
  EXPECT_EQ(DigestFromBytes(""), std::nullopt);
  EXPECT_EQ(DigestFromBytes(std::string(31, 'x')), std::nullopt);
  EXPECT_EQ(DigestFromBytes(std::string(33, 'x')), std::nullopt);
}

}  // namespace
}  // namespace outrider
