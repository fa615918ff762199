<?php
function fib($n) { return $n < 2 ? $n : fib($n - 1) + fib($n - 2); }
echo fib(22), ' ', $argv[1], PHP_EOL;
$a = range(1, 20000);
usort($a, fn($x, $y) => ($x * 7919 % 10007) <=> ($y * 7919 % 10007) ?: $x <=> $y);
echo $a[0], ' ', $a[19999], ' ', md5(implode(',', $a)), PHP_EOL;
file_put_contents('out', str_repeat("line\n", 1000));
echo filesize('out'), ' ', count(file('out')), ' ', json_encode(['a' => [1, 2.5, null, "é"]]), PHP_EOL;
preg_match_all('/(\w+)\(/', file_get_contents(__FILE__), $m);
echo implode(',', array_unique($m[1])), PHP_EOL, date('c', 1e9), ' ', hash('sha256', 'x'), PHP_EOL;
class P { public function __construct(public readonly int $x) {} }
try { $p = new P(3); $p->x = 4; } catch (Error $e) { echo $e->getMessage(), PHP_EOL; }
function gen() { for ($i = 0; $i < 5; $i++) yield $i => $i ** 2; }
foreach (gen() as $k => $v) printf("%d:%d ", $k, $v);
echo serialize([1, 'a' => true]), ' ', sprintf('%08.3f', M_PI), PHP_EOL;
mkdir('d'); touch('d/f', 1000000000); echo filemtime('d/f'), ' ', implode(',', scandir('d')), PHP_EOL;
fwrite(STDERR, "to stderr\n");
exit(6);
