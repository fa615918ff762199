-- Loops that LuaJIT compiles: machine code is made, run, made read-only and extended.
local bit = require('bit')
local ffi = require('ffi')
ffi.cdef [[ int abs(int); size_t strlen(const char *); typedef struct { double x, y; } point; ]]
local h = 0
for i = 1, 2e7 do h = bit.bxor(bit.rol(h, 5), i) end
print(h, ffi.C.abs(-3), tonumber(ffi.C.strlen('hello')))
local p = ffi.new('point[?]', 1000)
for k = 1, 200 do
	for i = 0, 999 do p[i].x = p[i].x + i * k; p[i].y = math.sin(p[i].x) end
end
print(p[999].x, ('%.12f'):format(p[999].y))
local s = {}
for i = 1, 1e5 do s[#s + 1] = i % 10 end
print(#table.concat(s))
for n = 1, 300 do
	local f = assert(loadstring('local s = 0 for i = 1, 200 do s = s + i * ' .. n .. ' end return s'))
	if n % 100 == 0 then print(f()) else f() end
end
local cb = ffi.cast('int (*)(int)', function(x) return x + 1 end)
print(cb(41))
print(tostring(pcall(function() local x; x = x.y end)))
