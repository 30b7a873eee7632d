// Which addresses a webhook may lead to: each block's edges from within and without.
#include <gtest/gtest.h>

#include <string>

#include "platform/http/engine.h"

namespace outrider::http {
namespace {

TEST(AddressFilterTest, ClosedBlocksAreClosedFromTheirFirstToTheirLastAddress) {
  for (const char* address :
       {"0.0.0.0",         "0.255.255.255",   "10.0.0.0",       "10.255.255.255",  "100.64.0.0",     "100.100.100.200",
        "100.127.255.255", "127.0.0.0",       "127.0.0.1",      "127.255.255.255", "169.254.0.0",    "169.254.169.254",
        "169.254.255.255", "172.16.0.0",      "172.31.255.255", "192.0.0.0",       "192.0.0.192",    "192.0.0.255",
        "192.0.2.0",       "192.0.2.255",     "192.88.99.0",    "192.88.99.255",   "192.168.0.0",    "192.168.255.255",
        "198.18.0.0",      "198.19.255.255",  "198.51.100.0",   "198.51.100.255",  "203.0.113.0",    "203.0.113.255",
        "224.0.0.0",       "239.255.255.255", "240.0.0.0",      "255.255.255.254", "255.255.255.255"}) {
    EXPECT_FALSE(IsPublicAddress(address)) << address;
  }
}

TEST(AddressFilterTest, TheirNeighboursAreOpen) {
  for (const char* address :
       {"1.0.0.0",         "9.255.255.255",   "11.0.0.0",      "100.63.255.255", "100.128.0.0",     "126.255.255.255",
        "128.0.0.0",       "169.253.255.255", "169.255.0.0",   "172.15.255.255", "172.32.0.0",      "191.255.255.255",
        "192.0.1.0",       "192.0.3.0",       "192.88.98.255", "192.88.100.0",   "192.167.255.255", "192.169.0.0",
        "198.17.255.255",  "198.20.0.0",      "198.51.99.255", "198.51.101.0",   "203.0.112.255",   "203.0.114.0",
        "223.255.255.255", "8.8.8.8"}) {
    EXPECT_TRUE(IsPublicAddress(address)) << address;
  }
}

TEST(AddressFilterTest, OfIpv6OnlyGlobalUnicastIsOpen) {
  for (const char* address :
       {"2000::", "2001:200::1", "2001:db7:ffff::1", "2001:db9::1", "2001:ffff::1", "2003::1", "2400:3200::1",
        "2606:4700:4700::1111", "3ffe::1", "3fff:1000::1", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}) {
    EXPECT_TRUE(IsPublicAddress(address)) << address;
  }
  for (const char* address : {"::",
                              "::1",
                              "::2",
                              "0:0:0:0:0:0:0:1",
                              "100::1",
                              "1fff:ffff::1",
                              "4000::1",
                              "5f00::1",
                              "fc00::1",
                              "fd00:ec2::254",
                              "fdff::1",
                              "fe80::1",
                              "febf::1",
                              "fec0::1",
                              "feff::1",
                              "ff02::1",
                              "ffff::1",
                              "2001::1",
                              "2001:2::1",
                              "2001:20::1",
                              "2001:1ff:ffff::1",
                              "2001:db8::1",
                              "2001:db8:ffff::1",
                              "2002::1",
                              "2002:ffff::1",
                              "3fff::1",
                              "3fff:fff::1"}) {
    EXPECT_FALSE(IsPublicAddress(address)) << address;
  }
}

// Whatever the address inside: it would have to be checked as well, and nobody needs to be reached this way.
TEST(AddressFilterTest, AddressesInsideAddressesAreClosed) {
  for (const char* address : {"::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:8.8.8.8", "::127.0.0.1", "::8.8.8.8",
                              "64:ff9b::127.0.0.1", "64:ff9b::8.8.8.8", "64:ff9b:1::8.8.8.8", "2002:7f00:1::1",
                              "2002:808:808::1", "2001:0:808:808::1", "::ffff:0:127.0.0.1"}) {
    EXPECT_FALSE(IsPublicAddress(address)) << address;
  }
}

TEST(AddressFilterTest, WhatIsNoAddressIsClosed) {
  for (const std::string& address :
       {std::string(""), std::string("localhost"), std::string("8.8.8"), std::string("8.8.8.8.8"),
        std::string("134744072"), std::string("0x8.8.8.8"), std::string("010.8.8.8"), std::string(" 8.8.8.8"),
        std::string("8.8.8.8 "), std::string("8.8.8.8:80"), std::string("[2606:4700::1111]"),
        std::string("2606:4700::1111%eth0"), std::string("2606:4700:::1"), std::string("8.8.8.8\0", 8),
        std::string("256.8.8.8")}) {
    EXPECT_FALSE(IsPublicAddress(address)) << address;
  }
}

}  // namespace
}  // namespace outrider::http
