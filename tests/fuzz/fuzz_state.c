/* The state file: what is taken is, byte for byte, what would be written; all else is refused. */
#include <string.h>

#include "fuzz.h"
#include "state/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct state_record record;
    char boot[CLOCKS_BOOT_ID_SIZE], again[STATE_TEXT_MAX];
    int r = state_decode((const char *)data, size, &record, boot);

    FUZZ_MUST(r == STATE_OK || r == STATE_DAMAGED || r == STATE_OTHER_VERSION);
    if (r == STATE_OK) {
        FUZZ_MUST(state_encode(&record, boot, again) == size);
        FUZZ_MUST(memcmp(again, data, size) == 0);
    }
    return 0;
}
