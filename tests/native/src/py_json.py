import json
import random
r = random.Random(7)


def value(depth):
    kind = r.randrange(8 if depth else 6)
    if kind < 2:
        return r.randrange(-10 ** 12, 10 ** 12)
    if kind == 2:
        return r.random() * 10 ** r.randrange(-20, 20)
    if kind == 3:
        return r.choice([None, True, False])
    if kind < 6:
        return "".join(chr(r.choice([34, 92, 10, 65 + r.randrange(26), 0x1F600, 0xe9])) for _ in range(9))
    if kind == 6:
        return [value(depth - 1) for _ in range(r.randrange(6))]
    return {str(i): value(depth - 1) for i in range(r.randrange(6))}


total = 0
for i in range(400):
    v = value(5)
    text = json.dumps(v, sort_keys=i % 2 == 0, indent=i % 3 or None, ensure_ascii=i % 5 == 0)
    assert json.loads(text) == v
    total += len(text)
print(total, text[:200])
try:
    json.loads('{"a": [1, 2,, 3]}')
except json.JSONDecodeError as e:
    print(e)
