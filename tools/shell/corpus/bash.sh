#### brace expansion
echo {a,b,c} x{1,2}y {1..5} {5..1} {01..03} {a..e} {1..10..3} a{,b} {x} {a,b}{c,d} "{a,b}" {a,{b,c}d} {}
mkdir -p p/{q,r}/s; find p -type d | sort
#### double brackets
x='a b'; [[ $x == a* ]] && echo 1; [[ $x == "a*" ]] || echo 2; [[ -n $x && -z "" ]] && echo 3
[[ abc =~ ^a.c$ ]] && echo 4; [[ 3 -lt 10 ]] && echo 5; [[ a < b ]] && echo 6; [[ ! -e nosuch ]] && echo 7
[[ ( a == b || c == c ) && d == d ]] && echo 8; [[ $x ]] && echo 9
[[ foo.txt == *.txt ]] && echo 10; [[ abc =~ (b|x)c ]] && echo 11
#### here string
cat <<< "hello $((1+1))"; read a b <<< "one two"; echo $b
#### replacement
x=hello.world.txt; echo ${x/o/0} ${x//o/0} ${x/#hello/bye} ${x/%txt/md} ${x//./} ${x//l*d/Z}
y='a b c'; echo "${y// /_}" "${y/b/}"
#### slices
x=abcdef; echo ${x:2} ${x:1:3} ${x: -2} ${x:0:-1} ${x:10}
#### letters
x=hello; echo ${x^} ${x^^} ; y=ABC; echo ${y,} ${y,,}
#### counting loop
for ((i=0;i<3;i++)); do echo $i; done
for ((i=10; i>0; i-=4)); do echo $i; done
#### arithmetic command
((1+1)) && echo yes; ((0)) || echo no; x=1; ((x++)); ((x+=5)); echo $x
echo $((2**10)) $((x++)) $((++x)) $((x--)) $x $((1,2))
#### ansi quotes
echo $'a\tb\'c\x41'
#### both outputs
{ echo o; echo e >&2; } &> f; sort f; { echo o2; echo e2 >&2; } &>> f; sort f
{ echo o; echo e >&2; } |& sort
#### appended
x=a; x+=b; x+=c; echo $x
#### function word
function f { echo "f $1"; }; f a; function g() { echo g; }; g
#### echo options
echo -n a; echo b; echo -e 'x\ty'; echo 'a\tb'
#### pipefail
set -o pipefail; false | true; echo $?; true | true; echo $?; (exit 3) | (exit 4) | true; echo $?
#### fall through
case a in a) echo 1;& b) echo 2;; c) echo 3;; esac
case a in a) echo 1;;& b) echo 2;; a) echo 3;; esac
#### source with arguments
echo 'echo "$1"' > l.sh; source ./l.sh given
#### read delimiter
printf 'a:b' | { read -d : x; echo "$x"; }
#### each positional counted
set -- a b c; echo ${#@} ${#*}
#### declarations are assignments
y='a  b *'; export x=$y; echo "$x"; f() { local z=$y w=$1; echo "$z|$w"; }; f 'p q'; readonly r=$(echo 'c  d'); echo "$r"
#### expressions with quotes
for f in my-bakery.txt x.bak axb a.b; do [[ $f =~ \.bak$ ]] && echo 1 $f; [[ $f =~ ".bak" ]] && echo 2 $f; [[ $f =~ a\.b ]] && echo 3 $f; [[ $f =~ ^a'.'b$ ]] && echo 4 $f; [[ $f =~ ^a[".-"]b$ ]] && echo 5 $f; done
p='a.b'; [[ axb =~ $p ]] && echo 6; [[ axb =~ "$p" ]] || echo 7; re='\.bak$'; [[ my.bak =~ $re ]] && echo 8; [[ mybak =~ $re ]] || echo 9
[[ 'a b' =~ ^a\ b$ ]] && echo 10; [[ 'a(b' =~ \( ]] && echo 11; [[ w =~ ^\w$ ]] && echo 12; re='^\w+$'; [[ word =~ $re ]] && echo 13; [[ "a]b" =~ a[\]]b ]] && echo 22; [[ 'a]b' =~ a]b ]] && echo 14; [[ 'a$b' =~ a\$b ]] && echo 15; [[ aab =~ ^a{2}b$ ]] && echo 16; [[ 'a"b' =~ \" ]] && echo 17; [[ 5 =~ ^[[:digit:]]+$ ]] && echo 18; [[ ab =~ ^(a|x)(b|y)$ ]] && echo 19; [[ 'a*b' =~ a"*"b ]] && echo 20; [[ aab =~ a"*"b ]] || echo 21
#### contents of a file
echo hi > f; x=$(<f); echo "[$x]" "$(< f)" `<f`; y=$(<nope) 2>/dev/null || echo failed; echo "[$(< /dev/null)]"
#### slices of arguments
set -- a b c; echo "${@: -1}" "${*: -2}" "${@:2}" "${@:1:1}" "${@: -2:1}"; echo "[${@: -9}]" "[${@:4}]"; f() { echo "${@: -1}"; }; f x y z; x=abc; echo "[${x: -5}]" "[${x:5}]" "[${x:3}]" "[${x: -3:2}]"
#### numbers in conditions
x=; y=7; [[ $x -eq 0 ]] && echo 1; [[ y -gt 6 ]] && echo 2; [[ y+1 -eq 8 ]] && echo 3; [ 010 -eq 10 ] && echo 4; [[ 010 -eq 8 ]] && echo 5; [ 08 -lt 9 ] && echo 6; [ x -eq 0 ] 2>/dev/null || echo 7; [[ 1+ -eq 1 ]] 2>/dev/null || echo 8; [ ' 3 ' -eq 3 ] && echo 9
#### slashes replaced
x=a/b/c; echo ${x////_} ${x//\//_} "${x////_}" ${x/\//_} ${x/b/} ${x//b} ${x/#/p} ${x/%/s} ${x//\//}
#### noclobber for both outputs
echo a > f; (set -C; echo b &> f) 2>/dev/null || echo failed; cat f; (set -C; echo c &>> f); cat f
