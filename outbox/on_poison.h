// OnPoison: what a row that can never be published means for the later rows of its key. A value.
#pragma once

namespace outrider::outbox {

enum class OnPoison {
  kSkip,   // they go on
  kBlock,  // they wait until a person has replayed or discarded it
};

}  // namespace outrider::outbox
