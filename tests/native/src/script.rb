require 'digest'
require 'json'
require 'set'
def fib(n) = n < 2 ? n : fib(n - 1) + fib(n - 2)
puts fib(20), ARGV.inspect
a = (1..20000).map { |i| i * 7919 % 10007 }.sort
puts a.first, a.last, a.uniq.size, Digest::SHA256.hexdigest(a.join(','))
File.write('out', "line\n" * 1000)
puts File.size('out'), File.readlines('out').size, Dir.children('.').sort.inspect
puts File.read(__FILE__).scan(/\b[a-z]{4,}\b/).tally.sort_by { |k, v| [-v, k] }.first(5).inspect
puts JSON.generate('a' => [1, 2.5, nil, "\u00e9"]), 2**200, 10.pow(50, 1_000_007), Rational(3, 4) + 1
begin
  Integer('x')
rescue ArgumentError => e
  puts e.message
end
f = Fiber.new { 3.times { |i| Fiber.yield i }; :done }
puts 4.times.map { f.resume }.inspect
r, w = IO.pipe
w << 'through a pipe'
w.close
puts r.read, Time.at(10**9).utc.iso8601 rescue puts Time.at(10**9).utc
GC.start
warn 'to stderr'
at_exit { puts 'at exit' }
exit 8
