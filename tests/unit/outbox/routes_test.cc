#include "outbox/routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "outbox/event_sink.h"

namespace outrider::outbox {
namespace {

using ::testing::HasSubstr;

std::string TopicOf(const Routes& routes, std::string_view type) {
  std::string topic = "left over";
  const auto found = FindTopic(routes, type, topic);
  return found ? topic : std::string(ToString(static_cast<PoisonReason>(found.error().native_code)));
}

TEST(RoutesTest, ATypeWithoutARouteHasATopicOfItsOwnName) {
  EXPECT_EQ(TopicOf({}, "notification"), "outbox.event.notification");
}

TEST(RoutesTest, ATypeWithARouteGoesThere) {
  const Routes routes{.topics = {{"order", "shop.orders"}}};
  EXPECT_EQ(TopicOf(routes, "order"), "shop.orders");
  EXPECT_EQ(TopicOf(routes, "Order"), "outbox.event.Order");
}

TEST(RoutesTest, WhereOnlyRoutesAreAllowedAnotherTypeHasNone) {
  const Routes routes{.topics = {{"order", "shop.orders"}}, .only = true};
  EXPECT_EQ(TopicOf(routes, "order"), "shop.orders");
  EXPECT_EQ(TopicOf(routes, "notification"), "topic_not_allowed");
}

TEST(RoutesTest, ATypeThatMakesNoLegalNameHasNoTopicButMayHaveARoute) {
  EXPECT_EQ(TopicOf({}, ""), "illegal_topic");
  EXPECT_EQ(TopicOf({}, "an order"), "illegal_topic");
  EXPECT_EQ(TopicOf({}, std::string(240, 'a')), "illegal_topic");
  EXPECT_EQ(TopicOf({.topics = {{"an order", "orders"}}}, "an order"), "orders");
}

TEST(RoutesTest, WhatMakesATextNoTopicIsNamed) {
  EXPECT_EQ(TopicFault("shop.orders_1-x"), "");
  EXPECT_THAT(TopicFault(""), HasSubstr("empty"));
  EXPECT_THAT(TopicFault(".."), HasSubstr(".."));
  EXPECT_THAT(TopicFault("a b"), HasSubstr("character"));
  EXPECT_THAT(TopicFault(std::string(250, 'a')), HasSubstr("249"));
}

}  // namespace
}  // namespace outrider::outbox
