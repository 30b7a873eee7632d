// Reseal: brings what is sealed under older keys under the first one, so that an old key can be thrown away.
//
// Threads: the connection's; consumers may be at work meanwhile. In small steps, each conditional on the version that
// was read, so a run that ends in the middle has done a part and the next does the rest. The content doesn't change,
// and so the version doesn't either.
#pragma once

#include <cstddef>

#include "model/result.h"
#include "platform/crypto/sealer.h"
#include "platform/mysql/connection.h"

namespace outrider::consumer {

struct Resealed {
  std::size_t records = 0;
  std::size_t rejected = 0;
  std::size_t left = 0;  // under other keys still: the key isn't configured, or the bytes were changed
};

// REQUIRES: the sealer has a key.
Result<Resealed> Reseal(mysql::MysqlConnection& connection, const crypto::Sealer& sealer);

}  // namespace outrider::consumer
