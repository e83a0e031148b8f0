/* fake_kinds - the kinds of op that test_op_wire does without, so that it needs neither their code nor what that code needs. */
#include "netctl/op.h"

const struct op_kind op_addr = {.name = "addr"}, op_route = {.name = "route"}, op_rule = {.name = "rule"};
const struct op_kind op_local_rule = {.name = "local-rule"}, op_neigh = {.name = "neigh"}, op_link = {.name = "link"};
const struct op_kind op_nft_table = {.name = "nft-table"}, op_sysctl = {.name = "sysctl"};
const struct op_kind op_peer = {.name = "peer"}, op_probe = {.name = "probe"};
