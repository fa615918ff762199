/* SPDX-License-Identifier: MIT */
/*
 * Network grants: which addresses and ports a guest may connect to or listen on. Host names are
 * looked up once, when the rule is made; IPv4-mapped IPv6 addresses count as IPv4.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"

#define SPEC_MAX 300

struct parts {
	char *host;  /* "" or NULL: any */
	char *bits;  /* NULL: all */
	char *ports; /* NULL: any */
};

static int bad_spec(const char *spec, struct tkvm_error *err)
{
	return tk_fail(err, EINVAL,
		       "address '%.60s': expected HOST, HOST:PORT, :PORT, [IPV6]:PORT or "
		       "ADDRESS/BITS:FIRST-LAST",
		       spec);
}

/* Take @text apart in place. A bare IPv6 address has more than one colon and no port. */
static bool split(char *text, struct parts *parts)
{
	char *colon, *end;

	*parts = (struct parts){.host = text};
	if (*text == '[') {
		parts->host = text + 1;
		end = strchr(text, ']');
		if (!end)
			return false;
		*end++ = '\0';
		if (*end == '/') {
			*end++ = '\0';
			parts->bits = end;
			end += strcspn(end, ":");
		}
		if (*end && *end != ':')
			return false;
		if (*end) {
			*end++ = '\0';
			parts->ports = end;
		}
		return true;
	}
	colon = strchr(text, ':');
	if (colon && colon == strrchr(text, ':')) {
		*colon++ = '\0';
		parts->ports = colon;
	}
	parts->bits = strchr(text, '/');
	if (parts->bits)
		*parts->bits++ = '\0';
	return true;
}

static bool parse_number(const char *text, const char **end, unsigned int max, unsigned int *out)
{
	unsigned int n = 0;

	if (*text < '0' || *text > '9')
		return false;
	for (; *text >= '0' && *text <= '9'; text++) {
		n = n * 10 + (unsigned int)(*text - '0');
		if (n > max)
			return false;
	}
	*end = text;
	*out = n;
	return true;
}

static bool parse_ports(const char *text, struct tk_net_grant *grant)
{
	unsigned int lo, hi;

	if (!text || !strcmp(text, "*")) {
		grant->port_lo = 0;
		grant->port_hi = UINT16_MAX;
		return true;
	}
	if (!parse_number(text, &text, UINT16_MAX, &lo))
		return false;
	hi = lo;
	if (*text == '-' && !parse_number(text + 1, &text, UINT16_MAX, &hi))
		return false;
	if (*text || hi < lo)
		return false;
	grant->port_lo = (u16)lo;
	grant->port_hi = (u16)hi;
	return true;
}

static bool parse_bits(const char *text, struct tk_net_grant *grant)
{
	unsigned int all = grant->family == AF_INET ? 32 : 128, bits = all;

	if (text && (!parse_number(text, &text, all, &bits) || *text))
		return false;
	if (grant->family == AF_INET6 && bits >= 96 &&
	    IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)grant->addr)) {
		grant->family = AF_INET;
		memmove(grant->addr, grant->addr + 12, 4);
		bits -= 96;
	}
	grant->prefix = (u8)bits;
	return true;
}

static int add(struct tk_policy *policy, const struct tk_net_grant *grant, struct tkvm_error *err)
{
	struct tk_net_grant *nets;

	nets = reallocarray(policy->nets, policy->n_nets + 1, sizeof(*nets));
	if (!nets)
		return tk_fail_errno(err, ENOMEM, "network rule");
	policy->nets = nets;
	nets[policy->n_nets++] = *grant;
	return 0;
}

/* Port and address of @addr with v4-mapped addresses turned into AF_INET; false: not IP. */
static bool normalise(const struct sockaddr *addr, socklen_t len, struct tk_net_grant *out)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (len >= sizeof(in) && addr->sa_family == AF_INET) {
		memcpy(&in, addr, sizeof(in));
		out->family = AF_INET;
		memcpy(out->addr, &in.sin_addr, 4);
		out->port_lo = ntohs(in.sin_port);
		return true;
	}
	/* SIN6_LEN_RFC2133: the kernel takes addresses without the scope field. */
	if (len < 24 || addr->sa_family != AF_INET6)
		return false;
	memset(&in6, 0, sizeof(in6));
	memcpy(&in6, addr, TK_MIN((size_t)len, sizeof(in6)));
	out->port_lo = ntohs(in6.sin6_port);
	if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
		out->family = AF_INET;
		memcpy(out->addr, &in6.sin6_addr.s6_addr[12], 4);
	} else {
		out->family = AF_INET6;
		memcpy(out->addr, &in6.sin6_addr, 16);
	}
	return true;
}

static int add_names(struct tk_policy *policy, const char *spec, const char *host,
		     struct tk_net_grant grant, struct tkvm_error *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list, *ai;
	u16 port_lo = grant.port_lo;
	int rc;

	rc = getaddrinfo(host, NULL, &hints, &list);
	if (rc)
		return tk_fail(err, EINVAL, "address '%.60s': host '%.60s': %s", spec, host,
			       gai_strerror(rc));
	rc = 0;
	for (ai = list; ai && !rc; ai = ai->ai_next) {
		if (!normalise(ai->ai_addr, ai->ai_addrlen, &grant))
			continue;
		grant.port_lo = port_lo;
		grant.prefix = grant.family == AF_INET ? 32 : 128;
		rc = add(policy, &grant, err);
	}
	freeaddrinfo(list);
	return rc;
}

int tk_policy_allow_net(struct tk_policy *policy, const char *spec, unsigned int use,
			struct tkvm_error *err)
{
	struct tk_net_grant grant = {.use = use, .family = AF_UNSPEC, .any_addr = true};
	struct parts parts = {0};
	char text[SPEC_MAX] = "";

	if (spec) {
		if (!*spec || strlen(spec) >= sizeof(text))
			return bad_spec(spec, err);
		strcpy(text, spec);
		if (!split(text, &parts))
			return bad_spec(spec, err);
	}
	if (!parse_ports(parts.ports, &grant))
		return bad_spec(spec, err);
	if (!parts.host || !*parts.host || !strcmp(parts.host, "*")) {
		if (parts.bits || *text == '[')
			return bad_spec(spec, err);
		return add(policy, &grant, err);
	}
	grant.any_addr = false;
	if (inet_pton(AF_INET, parts.host, grant.addr) == 1)
		grant.family = AF_INET;
	else if (inet_pton(AF_INET6, parts.host, grant.addr) == 1)
		grant.family = AF_INET6;
	else if (parts.bits || strpbrk(parts.host, " \t/:"))
		return bad_spec(spec, err);
	else
		return add_names(policy, spec, parts.host, grant, err);
	return parse_bits(parts.bits, &grant) ? add(policy, &grant, err) : bad_spec(spec, err);
}

static bool same_prefix(const u8 *a, const u8 *b, unsigned int bits)
{
	unsigned int bytes = bits / 8, rest = bits % 8;

	if (memcmp(a, b, bytes) != 0)
		return false;
	return !rest || !((a[bytes] ^ b[bytes]) >> (8 - rest));
}

static bool covers(const struct tk_net_grant *rule, enum tk_net_use use,
		   const struct tk_net_grant *want)
{
	if (!(rule->use & use) || want->port_lo < rule->port_lo || want->port_lo > rule->port_hi)
		return false;
	if (rule->any_addr)
		return true;
	return rule->family == want->family && same_prefix(rule->addr, want->addr, rule->prefix);
}

bool tk_policy_may_net(const struct tk_policy *policy, enum tk_net_use use,
		       const struct sockaddr *addr, socklen_t len)
{
	struct tk_net_grant want = {0};

	if (!normalise(addr, len, &want))
		return false;
	for (size_t i = 0; i < policy->n_nets; i++)
		if (covers(&policy->nets[i], use, &want))
			return true;
	return false;
}
