#include "tests/targets/target.h"

void plug_a_burn(void);

APART void plug_a_burn(void)
{
	CHURN(ROUNDS);
}
