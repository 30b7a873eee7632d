// Whether a server refused a statement because of a value in it. Pure.
#pragma once

#include "model/result.h"

namespace outrider::mysql {

// The row that holds the value is refused whenever it comes (too long, out of range, against a CHECK, more than
// max_allowed_packet). Everything else that is kInvalid (a missing table or right, a refused login, a proxy's own
// errors) is no row's fault and heals when somebody acts.
bool BlamesValue(const Error& error);

}  // namespace outrider::mysql
