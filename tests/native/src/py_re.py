import re
text = open(re.__file__).read() * 3
print(len(re.findall(r"\b\w+\b", text)), len(re.findall(r"(?m)^\s+def (\w+)\(", text)))
print(re.sub(r"(\w+) (\w+)", r"\2 \1", text)[:300])
print(re.match(r"(?P<y>\d{4})-(?P<m>\d\d)(?:-(?P<d>\d\d))?$", "2024-02").groupdict())
print(re.split(r"[,;]\s*", "a, b;c,d"), re.fullmatch(r"(a|ab)(c|bcd)(d*)", "abcd").groups())
print(sum(len(m.group()) for m in re.finditer(r"(?s)\"\"\".*?\"\"\"", text)))
try:
    re.compile("(a")
except re.error as e:
    print(e)
