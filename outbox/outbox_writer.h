// OutboxWriter: how Outrider itself (`send`, the API) puts a request into an outbox; applications do the same with one
// INSERT. Threads: the connection's. Part of the caller's transaction, if one is open.
#pragma once

#include <string>
#include <string_view>

#include "model/request.h"
#include "model/result.h"
#include "platform/mysql/connection.h"

namespace outrider::outbox {

// The event id it was given. `aggregate_id`: rows that share it keep their order.
Result<std::string> WriteRequest(mysql::MysqlConnection& connection, std::string_view table,
                                 const NotificationRequest& request, std::string_view aggregate_id);

}  // namespace outrider::outbox
