#pragma once
/* crc32c - the Castagnoli check sum (RFC 3720 B.4), as iSCSI, ext4 and the PROXY protocol use it. Pure. */
#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(const void *bytes, size_t len);
uint32_t crc32c_more(uint32_t crc, const void *bytes, size_t len); /* goes on where crc32c() of what was before ended */
