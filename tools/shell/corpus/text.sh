#### cat
printf 'a\n\n\nb\tc\n' > f
cat f; cat -n f; cat -b f; cat -s f; cat -A f; cat - < f; cat f f | wc -l; cat nosuch f 2>/dev/null; echo $?
printf 'no end' | cat; echo; echo x | cat f - | tail -1
#### head and tail
seq 20 > f
head f | tail -1; head -3 f; head -n 2 f; head -n -18 f; head -c 5 f; tail -2 f; tail -n 1 f; tail -n +19 f; tail -c 3 f; tail -c +49 f
head -n 1 f f; tail -qn1 f f; head -n0 f; printf 'a\nb' | tail -1; echo; echo abc | head -c -2
#### wc
printf 'one two\nthree\n' > f; wc f; wc -l f; wc -w < f; wc -c f f; wc -lw f; printf 'é\n' | wc -m; wc < f; cat f | wc; echo -n | wc -l; wc -L f
#### sort
printf 'b\na\nC\nb\n10\n9\n' > f
sort f; sort -r f; sort -u f; sort -n f; sort -f f; sort -nr f | head -1
printf 'x 3\ny 1\nz 2\n' > g; sort -k2 g; sort -k2,2nr g; sort -k 2n g
printf 'a:3:x\nb:1:y\nc:2:z\n' | sort -t: -k2,2; printf 'a,b\nA,a\n' | sort -t, -k2
printf '1K\n2M\n500\n3G\n' | sort -h; printf 'v1.10\nv1.9\nv1.2\n' | sort -V
printf '%s\n' -5 3 -10 2.5 0 | sort -n; printf 'Feb\nJan\nDec\n' | sort -M
sort -c f 2>/dev/null; echo $?; printf '1\n2\n' | sort -c; echo $?
sort -o f f; cat f; printf 'b 1\na 1\n' | sort -s -k2; printf 'a  2\nb 1\n' | sort -k2b,2
printf 'x\0y\0a\0' | sort -z | tr '\0' ' '; echo
#### uniq
printf 'a\na\nb\nA\na\n' > f; uniq f; uniq -c f; uniq -d f; uniq -u f; uniq -i f; sort f | uniq -c | sort -rn
printf 'x a\ny a\nz b\n' | uniq -f1; printf 'abc\nabd\n' | uniq -w2
#### cut
printf 'a:b:c\nd:e:f\nnone\n' > f
cut -d: -f1 f; cut -d: -f2,3 f; cut -d: -f2- f; cut -d: -f-2 f; cut -d: -s -f1 f; cut -c1-3 f; cut -c2 f; cut -b1 f
printf 'a\tb\n' | cut -f2; cut -d: -f1,3 --output-delimiter=- f; cut -d: -f2 --complement f
#### tr
echo hello | tr a-z A-Z; echo hello | tr -d l; echo aabbcc | tr -s a-c; echo 'a b' | tr ' ' '\n'; echo abc123 | tr -cd 0-9; echo
echo hello | tr '[:lower:]' '[:upper:]'; echo 'a1b2' | tr -d '[:digit:]'; echo abc | tr abc x; echo 'a  b' | tr -s ' '; echo abc | tr -c 'a\n' x
printf 'a\tb\n' | tr '\t' ' '; echo 'x-y' | tr -- - _; echo abcd | tr a-b '[z*]'
#### nl
printf 'a\n\nb\n' | nl; printf 'a\n\nb\n' | nl -ba; printf 'a\nb\n' | nl -w3 -s': '; printf 'a\n' | nl -v5 -nrz
#### paste
printf '1\n2\n3\n' > a; printf 'x\ny\n' > b; paste a b; paste -d, a b; paste -s a; paste -sd+ a; seq 4 | paste - -
#### comm
printf 'a\nb\nc\n' > x; printf 'b\nc\nd\n' > y; comm x y; comm -12 x y; comm -3 x y; comm -23 x y
#### rev and tac
printf 'abc\ndef\n' | rev; printf '1\n2\n3\n' | tac
#### seq
seq 3; seq 2 4; seq 1 2 6; seq 3 -1 1; seq -s, 3; seq -w 8 11; seq 0.5 0.5 2; seq -2 1; seq 5 1
#### basename and dirname
basename /a/b/c.txt; basename /a/b/c.txt .txt; basename a/; basename /; dirname /a/b/c; dirname a; dirname a/; dirname /a; dirname /; basename -a x/y z; basename -s .c a.c b.c
#### tee
echo hi | tee a b; cat a b; echo more | tee -a a >/dev/null; cat a
#### expr
expr 1 + 2; expr 6 \* 7; expr 10 / 3; expr 10 % 3; expr abc : 'a\(.\)c'; expr abcd : '.*'; expr length hello; expr substr hello 2 3; expr index hello l; expr 1 = 1; expr a '<' b; expr 0; echo $?; expr '' \| x; expr 3 \& 0; expr \( 1 + 2 \) \* 3
#### xargs
printf 'a b\nc\n' | xargs; printf 'a\nb\nc\n' | xargs -n1 echo x; printf 'a b\nc d\n' | xargs -I{} echo '[{}]'; printf 'x\0y z\0' | xargs -0 -n1 echo; printf '"a b" c\n' | xargs -n1
printf 'a,b' | xargs -d, -n1 echo; printf '' | xargs echo none; printf '' | xargs -r echo none; echo $?; printf '1\n2\n' | xargs -L1 echo L
echo x | xargs false; echo $?
#### diff
printf 'a\nb\nc\n' > o; printf 'a\nB\nc\nd\n' > n
diff o n; echo $?; diff o o; echo $?; diff -q o n; diff o nosuch 2>/dev/null; echo $?
diff -u o n | tail -n +3; diff -U0 o n | tail -n +3; printf 'a\n' > p; printf 'a' > q; diff p q; diff -i o n; diff -s o o
mkdir x y; echo 1 > x/f; echo 2 > y/f; echo 3 > x/only; diff -r x y; printf 'a  b\n' > s1; printf 'a b\n' > s2; diff -w s1 s2; echo $?; diff -b s1 s2; echo $?
seq 30 > l1; sed '5d;20s/$/x/' l1 > l2; diff l1 l2; diff -u l1 l2 | tail -n +3
#### cmp
echo a > x; echo a > y; echo b > z; cmp x y; echo $?; cmp x z; echo $?; cmp -s x z; echo $?
#### env
env -i A=1 env; A=5 env | grep '^A='; env B=2 sh -c 'echo $B'
#### date
date -u -d @0 +%Y-%m-%dT%H:%M:%S; date -u -d '2024-02-29 13:05:09' '+%a %b %e %j %u %I %p %y'; date -u -d 2024-01-01 +%s; date -u -d 2024-07-04 +'%A, %B %d'
