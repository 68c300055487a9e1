/* What is known of a frame, as a rule. */
#include "shm/ehframe_read.h"

static int32_t halves(const struct ehframe_value *value)
{
	return (int32_t)((uint32_t)(uint16_t)value->n | (uint32_t)(uint16_t)value->m << 16);
}

/* false where no rule expresses it. */
static bool cfa_rule(const struct ehframe_value *cfa, struct ehframe_rule *rule)
{
	unsigned number = cfa->register_number;

	rule->cfa_off = cfa->n;
	switch (cfa->kind) {
	case EH_VALUE_IS_SUM:
		if (number == EH_REGISTER_RSP)
			rule->cfa_type = EH_CFA_RSP;
		else if (number == EH_REGISTER_RBP)
			rule->cfa_type = EH_CFA_RBP;
		else if (number < EH_REGISTERS)
			rule->cfa_type = (uint8_t)(EH_CFA_REGISTER + number);
		else
			return false;
		return true;
	case EH_VALUE_IS_DEREF:
		rule->cfa_off = halves(cfa);
		if (number == EH_REGISTER_RSP)
			rule->cfa_type = EH_CFA_RSP_DEREF;
		else if (number == EH_REGISTER_RBP)
			rule->cfa_type = EH_CFA_RBP_DEREF;
		else
			return false;
		return true;
	case EH_VALUE_IS_PLT:
		rule->cfa_type = EH_CFA_PLT;
		rule->cfa_off = halves(cfa);
		return true;
	default:
		return false;
	}
}

static void rbp_rule(const struct ehframe_value *rbp, struct ehframe_rule *rule)
{
	rule->rbp_type = EH_RBP_UNKNOWN;
	switch (rbp->kind) {
	case EH_VALUE_UNSPECIFIED:
	case EH_VALUE_SAME:
		rule->rbp_type = EH_RBP_SAME;
		return;
	case EH_VALUE_AT_CFA:
		if (rbp->n < INT16_MIN || rbp->n > INT16_MAX)
			return;
		rule->rbp_type = EH_RBP_CFA;
		rule->rbp_off = (int16_t)rbp->n;
		return;
	case EH_VALUE_AT_SUM:
		if (rbp->register_number != EH_REGISTER_RBP || rbp->n < INT16_MIN ||
		    rbp->n > INT16_MAX)
			return;
		rule->rbp_type = EH_RBP_RBP;
		rule->rbp_off = (int16_t)rbp->n;
		return;
	default:
		return;
	}
}

static bool is_at_rsp(const struct ehframe_value *value, int32_t n)
{
	return value->kind == EH_VALUE_AT_SUM && value->register_number == EH_REGISTER_RSP &&
	       value->n == n;
}

/* The frame that the kernel makes, told by where the interrupted registers are said to be. */
static bool is_signal_state(const struct ehframe_state *state)
{
	const struct ehframe_value *cfa = &state->cfa;

	return cfa->kind == EH_VALUE_IS_DEREF && cfa->register_number == EH_REGISTER_RSP &&
	       cfa->n == EH_SIGNAL_RSP && cfa->m == 0 && is_at_rsp(&state->ra, EH_SIGNAL_RIP) &&
	       is_at_rsp(&state->rbp, EH_SIGNAL_RBP);
}

struct ehframe_rule ehframe_rule_of(const struct ehframe_state *state, bool is_signal)
{
	static const struct ehframe_rule unsupported = {.cfa_type = EH_CFA_UNSUPPORTED};
	struct ehframe_rule rule = {0};

	if (state->ra.kind == EH_VALUE_UNDEFINED)
		return (struct ehframe_rule){.cfa_type = EH_CFA_STOP};
	if (is_signal) {
		if (!is_signal_state(state))
			return unsupported;
		return (struct ehframe_rule){.cfa_type = EH_CFA_SIGNAL};
	}
	/* The caller's rsp is the CFA, or some rule says so. */
	if (state->rsp.kind != EH_VALUE_UNSPECIFIED &&
	    !(state->rsp.kind == EH_VALUE_IS_CFA && state->rsp.n == 0))
		return unsupported;
	if (!cfa_rule(&state->cfa, &rule))
		return unsupported;
	rbp_rule(&state->rbp, &rule);
	if (state->ra.kind == EH_VALUE_IN_REGISTER && state->ra.register_number < EH_REGISTERS &&
	    rule.rbp_type == EH_RBP_SAME) {
		rule.rbp_type = (uint8_t)(EH_RBP_RA_REGISTER + state->ra.register_number);
		return rule;
	}
	if (state->ra.kind != EH_VALUE_AT_CFA || state->ra.n != -8)
		return unsupported;
	return rule;
}
