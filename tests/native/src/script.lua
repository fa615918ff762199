local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
print(fib(24), arg[1], #arg)
local t = {}
for i = 1, 20000 do t[i] = (i * 7919) % 10007 end
table.sort(t)
print(t[1], t[10000], t[20000], select('#', 1, nil, 3))
local words = {}
for line in io.lines(arg[0]) do
	for w in line:gmatch('%a+') do words[w] = (words[w] or 0) + 1 end
end
local keys = {}
for k in pairs(words) do keys[#keys + 1] = k end
table.sort(keys)
print(table.concat(keys, ','), ('x'):rep(10, '-' == '-' and '' or ''), ('%5.3f|%q'):format(math.pi, 'a\nb'))
local co = coroutine.wrap(function() for i = 1, 5 do coroutine.yield(i * i) end end)
print(co(), co(), co())
local f = assert(io.open('out', 'w'))
f:write(('line\n'):rep(1000))
f:close()
print(io.open('out'):seek('end'), pcall(error, { code = 1 }), os.rename('absent', 'x'))
collectgarbage()
io.stderr:write('to stderr\n')
os.exit(5)
