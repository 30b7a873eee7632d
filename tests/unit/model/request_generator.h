// Any request that ParseRequest could give: every field, absent or there, with texts that strain JSON and UTF-8.
#pragma once

#include <rapidcheck.h>

#include "model/request.h"

namespace outrider {

rc::Gen<NotificationRequest> GenRequest();
// A JSON value of at most `depth` levels, as text, in canonical form.
rc::Gen<std::string> GenJsonObject(int depth);

}  // namespace outrider
