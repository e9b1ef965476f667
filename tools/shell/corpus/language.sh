#### words and quotes
echo a  b   c
echo 'a  b' "c  d" e\ f
echo "it's" 'say "hi"' "a\"b" "\$HOME"
echo a'b'"c"d
echo "" '' x
#### variables
x=1 y="two words"
echo $x "$y" ${x}y "${y}"
unset x; echo "[${x}]" "[$x]"
a=1; b=$a; a=2; echo $a $b
#### defaults
unset x; e=
echo ${x:-d} ${x-d} "${e:-d}" "[${e-d}]"
echo ${x:+s} "[${e:+s}]" "[${e+s}]"
echo ${x:=assigned} $x
echo "${x:-"a b"}" ${nope:-"a  b"} ${nope:-a  b}
echo "${nope:-$x/$x}"
#### error for an unset one
unset x
( : "${x:?must be set}" ) 2>/dev/null || echo failed
( set -u; echo "$x" ) 2>/dev/null || echo failed
( set -u; echo "${x:-fine}" ); echo $?
#### trimming
f=/a/b/c.tar.gz
echo ${f%.*} ${f%%.*} ${f#*/} ${f##*/} ${f%/*}
g='a*b*c'; echo "${g%'*'*}" "${g#*'*'}" "${g%\**}"
echo "${f%"$g"}" ${f%nothing}
p='*.gz'; echo ${f%$p} "${f%"$p"}"
#### length
x=hello; echo ${#x} "${#x}" ${#nope}
set -- a b c; echo ${#} $#
#### arithmetic
echo $((1+2*3)) $(( (1+2)*3 )) $((7/2)) $((-7/2)) $((7%3)) $((-7%3))
echo $((1<2)) $((2<=2)) $((3==4)) $((3!=4)) $((1&&0)) $((1||0)) $((!5))
echo $((5&3)) $((5|3)) $((5^3)) $((~5)) $((1<<4)) $((256>>4))
x=5; echo $((x+1)) $(($x*2)) $((x=9)) $x $((x+=3)) $x
echo $((0x1f)) $((010)) $((1?2:3)) $((0?2:3))
y=; echo $((y+1)) $((undefined+1))
i=3; while [ $i -gt 0 ]; do i=$((i-1)); done; echo $i
#### division by zero
(echo $((1/0))) 2>/dev/null || echo failed
#### positional
set -- one "two words" three
echo "$#" "$1" "$2" "$3" "$*"
for a in "$@"; do echo "[$a]"; done
for a in $*; do echo "<$a>"; done
for a; do echo "{$a}"; done
shift; echo "$1" $#
set --; echo $# "$@" "[$*]"
IFS=,; set -- a b; echo "$*"; IFS=' '
#### field splitting
x='  a   b  '
echo $x; echo "$x"
IFS=:; p=a::b:c; for w in $p; do echo "[$w]"; done
IFS=; q='a b'; for w in $q; do echo "[$w]"; done
unset IFS; for w in $q; do echo "[$w]"; done
#### command substitution
x=$(echo hi; echo there); echo "$x"; echo $x
echo "$(printf 'a\n\n\n')b"
echo `echo back` "`echo \"quoted\"`" $(echo $(echo nested))
x=$(false); echo $?
x=$(exit 3) ; echo $?
echo $(echo a
echo b)
#### substitution is a subshell
x=1; y=$(x=2; echo $x); echo $x $y
(x=5; cd /); echo $x
#### if
if true; then echo yes; fi
if false; then echo no; else echo other; fi
if false; then :; elif true; then echo elif; else echo no; fi
if false; then echo no; fi; echo $?
if [ 1 -lt 2 ] && [ 3 -gt 2 ]; then echo both; fi
#### while and until
i=0; while [ $i -lt 3 ]; do echo $i; i=$((i+1)); done
until [ $i -eq 0 ]; do i=$((i-1)); done; echo $i
while false; do :; done; echo $?
#### break and continue
for i in 1 2 3 4; do [ $i = 2 ] && continue; [ $i = 4 ] && break; echo $i; done
for i in 1 2; do for j in a b; do [ $j = b ] && continue 2; echo $i$j; done; done
for i in 1 2; do for j in a b; do break 2; done; done; echo $i$j
while true; do break; done; echo done $?
#### case
for w in apple bat x.txt 7 '' '*' ab; do
case $w in
  a*e) echo "fruit $w";;
  b?t|c?t) echo "animal $w";;
  *.txt) echo text;;
  [0-9]) echo digit;;
  '') echo empty;;
  \*) echo star;;
  (*) echo other
esac
done
case x in y) echo no;; esac; echo $?
#### functions
f() { echo "f $1 $#"; return 3; }
f a b; echo $?
g() { x=inner; }; x=outer; g; echo $x
h() { local x=local; echo $x; }; x=global; h; echo $x
fact() { if [ $1 -le 1 ]; then echo 1; else echo $(( $1 * $(fact $(($1-1))) )); fi; }
fact 5
k() ( x=sub; echo $x ); x=top; k; echo $x
m() { echo "$@"; } ; m a "b c"
#### functions that are defined twice, and removed
f() { echo 1; }; f() { echo 2; }; f; unset -f f; f 2>/dev/null; echo $?
#### and or not
true && echo a; false && echo b; false || echo c; true || echo d
! true; echo $?; ! false; echo $?
true && false || echo e
false && echo x || echo y && echo z
#### groups
{ echo a; echo b; } | tr a-z A-Z
( echo c; exit 2; echo d ); echo $?
{ echo e; } > out; cat out
#### subshells in subshells
((echo a); (echo b)); ( (echo c) )
#### set -e
( set -e; false; echo not ) ; echo $?
( set -e; false || true; echo yes ); echo $?
( set -e; if false; then :; fi; echo yes ); echo $?
( set -e; ! true; echo yes ); echo $?
( set -e; f() { false; echo in; }; f || echo caught ); echo $?
( set -e; x=$(false); echo not ); echo $?
( set -e; { false; }; echo not ); echo $?
( set -e; (false); echo not ); echo $?
( set -e; false | true; echo yes ); echo $?
( set -e; while false; do :; done; echo yes ); echo $?
#### eval
x='echo a; echo b'; eval "$x"
y=z; eval "$y=5"; echo $z
eval 'exit 4' || echo not; echo not
#### dot
echo 'v=sourced; echo "arg $1"' > lib.sh
set -- mine
. ./lib.sh; echo $v
#### exit status
(exit 7); echo $?
nosuchcommand 2>/dev/null; echo $?
true; echo $?; false; echo $?
#### here documents
x=val
cat <<END
a $x $(echo sub) $((1+1)) \$x "q" 'q'
END
cat <<'END'
a $x $(echo sub) \$x
END
cat <<-END
	tabs gone
		here too
	END
cat <<A; cat <<B
first
A
second
B
cat <<END | tr a-z A-Z
piped
END
while read l; do echo "<$l>"; done <<END
one
two
END
#### here document in a function
f() { cat <<END
hello $1
END
}
f world; f again
#### redirections
echo a > f; echo b >> f; cat f; cat < f
echo err >&2 2>/dev/null
{ echo out; echo err >&2; } 2>/dev/null
{ echo out; echo err >&2; } 2>&1 | sort
{ echo out; echo err >&2; } > both 2>&1; cat both
{ echo out; echo err >&2; } 2>&1 >/dev/null
cat < nosuch 2>/dev/null || echo failed
> empty; wc -c < empty
exec 3> three; echo to3 >&3; exec 3>&-; cat three
{ echo a; } 3>&1 1>&2 2>/dev/null
#### read
printf 'a b c\nd\n' | { read x y; echo "$x|$y"; read z; echo "$z"; read q; echo "$? [$q]"; }
printf 'a\\b\n' | { read -r x; printf '%s\n' "$x"; }
printf 'a\\\nb\n' | { read x; echo "$x"; }
printf '  lead\n' | { IFS= read -r x; echo "[$x]"; }
printf 'a:b:c\n' | { IFS=: read x y; echo "$x $y"; }
echo no newline | while read x; do echo "[$x]"; done
printf 'x' | { read v; echo "$? $v"; }
#### loops with input
printf '1\n2\n3\n' > nums
s=0; while read n; do s=$((s+n)); done < nums; echo $s
n=0; cat nums | while read l; do n=$((n+1)); done; echo $n
#### globs
touch b.txt a.txt c.md .hidden; mkdir d; touch d/x.txt d/y.txt
echo *; echo *.txt; echo d/*; echo */*.txt; echo .h*; echo [ab].txt; echo ?.md; echo nomatch*; echo "*.txt"; echo [!a].txt
for f in *.txt; do echo "$f"; done
x='*.md'; echo $x "$x"
set -f; echo *.txt; set +f
#### tilde and home
HOME=/h; echo ~ ~/x "~" a~; x=~/y; echo $x
#### environment of one command
x=1; x=2 sh -c 'echo $x'; echo $x
y=3 eval 'echo $y'
#### export
export A=1; B=2; sh -c 'echo "$A$B"'; C=3; export C; sh -c 'echo $C'
#### readonly
readonly r=1; (r=2) 2>/dev/null || echo $r
#### test
[ a = a ] && echo 1; [ a != b ] && echo 2; [ -z "" ] && echo 3; [ -n x ] && echo 4
[ 3 -eq 3 ] && [ 3 -ne 4 ] && [ 3 -lt 4 ] && [ 3 -le 3 ] && [ 4 -gt 3 ] && [ 4 -ge 4 ] && echo 5
touch f; mkdir d; echo x > full
[ -e f ] && [ -f f ] && [ -d d ] && [ ! -s f ] && [ -s full ] && [ ! -e no ] && echo 6
[ a = b -o c = c ] && echo 7; [ a = a -a b = c ] || echo 8
[ ! a = b ] && echo 9; test x && echo 10; test "" || echo 11
[ "" ]; echo $?; [ x ]; echo $?; [ ! ]; echo $?
test 1 -lt x 2>/dev/null; echo $?
[ "(" = "(" ] && echo 12
#### printf
printf '%s\n' a b c
printf '%s=%d\n' x 1 y 2
printf '%5s|%-5s|%05d|%x|%o|%X\n' ab cd 42 255 8 255
printf '%.2f %5.1f %e\n' 3.14159 2.25 12345.678
printf '%c%c\n' hello world
printf 'a\tb\\n\n'
printf '%b' 'x\ty\n'
printf '%%|%s\n' end
printf '%3d|%-3d|%+d\n' 5 5 5
printf '%.3s|\n' abcdef
printf '%s\n'
printf 'no args %s and %d\n'
printf '%d\n' "'A"
printf '\101\n'
printf '%*d\n' 5 42
#### trap on exit
(trap 'echo bye' EXIT; echo hi)
(trap 'echo bye $?' EXIT; exit 3); echo $?
#### getopts
set -- -a -b val -c rest
while getopts ab:c o; do echo "$o ${OPTARG-}"; done; shift $((OPTIND-1)); echo "$@"
#### comments and joined lines
echo a # comment
# whole line
echo b \
  c
echo a#b '#'
#### semicolons and newlines
if true
then
  echo a

  echo b
fi
for x in 1 2
do
echo $x
done
{ echo c
}
#### shift and sets
set -- a b c d; shift 2; echo "$@"
set -- -x; echo "$1"
#### cd and pwd
mkdir -p a/b; cd a/b; basename "$(pwd)"; cd ..; basename "$PWD"; cd - >/dev/null; basename "$PWD"; cd nosuch 2>/dev/null || echo failed
#### command and type
command -v echo; command -v nosuch || echo failed; command echo hi
#### special parameters
false; echo $?; echo $#; echo "${0##*/}" >/dev/null; set -- a; echo "$@$#"
#### pipe status
false | true; echo $?; true | false; echo $?
! false | false; echo $?
#### long pipelines end
while true; do echo x; done | head -3
yes | head -2 | wc -l
seq 1 100000 | head -1
yes abc | tr a A | head -2
#### pipes with large data
seq 1 50000 | sort -rn | head -2; seq 1 50000 | wc -l
seq 1 30000 | while read x; do echo $x; done | tail -1
#### nested subshells in pipes
(echo a; (echo b | tr b c); echo d) | cat -n
#### assignment before redirection only
x=1 > made; ls; echo $x
#### dollar at end
echo a$ "b$" '$'
#### nested quotes in substitution
echo "$(echo "inner $(echo "deep  space")")"
#### parameter in case pattern
p='a*'; case abc in $p) echo pattern;; esac; case abc in "$p") echo literal;; *) echo not;; esac
#### unquoted expansion with globs and spaces
touch 'x y' z; for f in *; do echo "[$f]"; done
#### return from nested
f() { for i in 1 2 3; do if [ $i = 2 ]; then return $i; fi; done; }; f; echo $?
#### exit in a function and in a pipe
f() { exit 5; }; (f); echo $?; echo x | (exit 6); echo $?
#### arithmetic in conditions
i=5; while [ $((i % 2)) -eq 1 ]; do i=$((i+1)); done; echo $i
#### reading with default IFS and tabs
printf 'a\tb\n' | while read x y; do echo "$x-$y"; done
#### errors that nobody reads
{ nosuch; echo after; } 2>&-; cat nosuch 2>&-; echo $?
