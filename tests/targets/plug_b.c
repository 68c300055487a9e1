#include "tests/targets/target.h"

void plug_b_burn(void);

APART void plug_b_burn(void)
{
	CHURN(ROUNDS);
}
