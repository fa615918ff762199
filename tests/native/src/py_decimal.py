from decimal import Decimal as D, getcontext, ROUND_HALF_EVEN, DivisionByZero
from fractions import Fraction
import math
getcontext().prec = 400
x = D(2)
for _ in range(12):
    x = (x + 2 / x) / 2
print(x, D(1).exp(), D(10).ln())
print(D("2.675").quantize(D("0.01"), ROUND_HALF_EVEN), sum(Fraction(1, n) for n in range(1, 100)))
print(math.pi.hex(), math.fsum([0.1] * 10), math.lgamma(10.5), math.erf(0.3), float("nan"), 1e308 * 10)
print(pow(3, 10 ** 5, 10 ** 50 + 7), math.factorial(300), 2 ** 0.5, (-8) ** (1 / 3))
try:
    D(1) / D(0)
except DivisionByZero as e:
    print(type(e).__name__)
