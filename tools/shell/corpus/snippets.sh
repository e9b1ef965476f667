#### common 0
set -e; { echo hi; } < nofile; echo reached
#### common 1
set -e; while read x; do :; done < nofile; echo reached
#### common 2
set -e; (echo hi) < nofile; echo reached
#### common 3
set -e; x=$(false); echo reached
#### common 4
set -e; f() { false; echo in; }; f || true; echo reached
#### common 5
set -e; f() { false; echo in; }; f; echo reached
#### common 7
set -e; false | true; echo reached
#### common 8
set -eo pipefail; false | true; echo reached
#### common 10
set -e; x=1; [ $x = 2 ] && echo a; echo reached
#### common 11
set -e; f() { [ 1 = 2 ] && echo a; }; f; echo reached
#### common 12
set -e; if true; then false; fi; echo reached
#### common 13
set -e; for i in 1 2; do false; done; echo reached
#### common 14
set -e; case a in a) false;; esac; echo reached
#### common 15
set -e; ! true; echo reached
#### common 16
set -e; true && { false; echo in; }; echo reached
#### common 17
set -e; { false; } || echo or; echo reached
#### common 18
set -e; eval 'false'; echo reached
#### common 19
set -e; y=$(cat nofile) ; echo reached
#### common 20
set -e; local_test() { local x=$(false); echo in; }; local_test; echo reached
#### common 21
set -e; (( 0 )); echo reached
#### common 22
set -e; [[ a == b ]]; echo reached
#### common 23
set -e; until false; do break; done; echo reached
#### common 27
set -u; echo "${nope:-d}"; echo reached
#### common 28
set -u; echo "$@" ; echo "$*"; echo reached
#### common 31
(: "${x:?must}"); echo reached
#### common 32
echo "$(: "${x:?must}")"; echo reached
#### common 33
touch 'a b' 'c*' '[d]' -- -e; for f in *; do echo "<$f>"; done
#### common 34
touch 'a b' a b; x='a b'; rm $x; ls
#### common 35
touch 'a b' a b; x='a b'; rm "$x"; ls
#### common 36
touch '*' a b; rm '*'; ls
#### common 37
touch '*' a b; rm \*; ls
#### common 38
touch '*' a b; x='*'; rm "$x"; ls
#### common 39
touch '[a]' a b; rm '[a]'; ls
#### common 40
touch '[a]' a b; rm [a]; ls
#### common 41
touch '[a]' a b; rm \[a\]; ls
#### common 42
touch 'a?' ab a; rm "a?"; ls
#### common 43
touch .h a; rm -rf *; ls -a
#### common 44
touch .h .hh a; rm -rf .[!.]*; ls -a
#### common 45
mkdir d; touch d/.h d/a; rm -rf d/*; ls -a d
#### common 46
mkdir -p d/e; touch d/e/f; rm -rf d/*/; ls -a d
#### common 47
mkdir -p a/x b/x; touch a/x/1 b/x/1; rm -rf */x; find . | sort
#### common 48
touch a.txt b.txt c.md; rm !(a.txt); ls
#### common 49
touch a.txt b.txt; rm [!a].txt; ls
#### common 50
touch a.txt b.txt; rm [^a].txt; ls
#### common 51
touch a1 a2 a10; rm a[0-9]; ls
#### common 52
touch a1 a2 a10; rm a{1,10}; ls
#### common 53
touch a1 a2 a10; rm a{1..2}; ls
#### common 54
touch {a,b}{1,2}; ls
#### common 55
touch "a{1,2}"; ls
#### common 56
x=5; touch a{1..$x}; ls
#### common 57
touch x; [ -n $nope ] && rm x; ls
#### common 58
touch x; [ -z $nope ] && rm x; ls
#### common 59
touch x; [ $nope = y ] || echo no; ls
#### common 60
touch x; [ ! -e y ] && rm x; ls
#### common 61
touch x; [ ! -f x -o -f y ] && rm x; ls
#### common 62
touch x; [ -f x -a ! -f y ] && rm x; ls
#### common 63
touch x; test -d x || rm x; ls
#### common 64
touch x; [ "a" \< "b" ] && rm x; ls
#### common 65
touch x; [[ -f x && ! -f y ]] && rm x; ls
#### common 66
touch x; [[ "x.txt" == *.md ]] && rm x; ls
#### common 67
touch x; p='*'; [[ abc == "$p" ]] && rm x; ls
#### common 68
touch x; p='*'; [[ abc == $p ]] && rm x; ls
#### common 69
touch x; [[ abc == a"*" ]] && rm x; ls
#### common 70
touch x; [[ a.b =~ a\.b ]] && rm x; ls
#### common 71
touch x; [[ axb =~ a\.b ]] && rm x; ls
#### common 72
touch x; p='a.b'; [[ axb =~ "$p" ]] && rm x; ls
#### common 73
touch x; case "$nope" in '') rm x;; esac; ls
#### common 74
touch x; case abc in "a*") rm x;; esac; ls
#### common 75
touch x; case abc in a*) rm x;; esac; ls
#### common 76
touch x; case 'a*' in a\*) rm x;; esac; ls
#### common 77
f=dir/a.tar.gz; echo ${f%.*} ${f%%.*} ${f##*/} ${f#*.} ${f%/*} ${f/a/b} ${f//a/b} ${f/#dir/x} ${f/%gz/x}
#### common 78
x='a/b/c'; echo ${x//\//_} "${x//\//_}" ${x////_}
#### common 79
x='a b'; set -- $x; echo $#; set -- "$x"; echo $#; set -- ${x:-c d}; echo $#; set -- "${y:-c d}"; echo $#; set -- ${y:-"c d" e}; echo $#
#### common 80
x='a"b'; echo "${x%\"*}" "${x#*\"}"
#### common 81
x="a'b"; echo "${x%\'*}" ${x%\'*}
#### common 82
x='~/a'; echo "${x#\~/}" ${x/#\~/h}
#### common 83
echo "a${x+b}c" "${x-'q'}" ${x-'q'} "${x-"q r"}"
#### common 84
printf '%s\n' 'a b' c | while read -r l; do echo "<$l>"; done
#### common 85
printf ' a b \n' | while IFS= read -r l; do echo "<$l>"; done
#### common 86
printf 'a\\b\n' | while read l; do echo "<$l>"; done
#### common 87
printf 'a' | while read l; do echo "<$l>"; done; echo end
#### common 88
printf 'a' | { while read l || [ -n "$l" ]; do echo "<$l>"; done; }
#### common 89
seq 3 > f; cat f | while read x; do echo $x; done > g; cat g
#### common 90
seq 3 > f; while read x; do cat; done < f
#### common 91
seq 5 > f; head -n -2 f > g && mv g f; cat f
#### common 92
seq 5 > f; tail -n +2 f > g && mv g f; cat f
#### common 93
seq 5 > f; sed -i '2d' f; cat f
#### common 94
seq 5 > f; sed -i '/3/,$d' f; cat f
#### common 95
seq 5 > f; sed -i '/9/!d' f; cat f
#### common 96
seq 5 > f; sed -i '2,3!d' f; cat f
#### common 97
seq 5 > f; sed -i '0,/1/d' f; cat f
#### common 98
seq 5 > f; sed -i '1,/1/d' f; cat f
#### common 99
seq 5 > f; sed -i '$d' f; cat f
#### common 100
seq 5 > f; seq 3 > g; sed -i '$d' f g; cat f g
#### common 101
seq 5 > f; seq 3 > g; sed -i '1d' f g; cat f g
#### common 102
seq 5 > f; seq 3 > g; sed -i '/2/,/4/d' g f; cat f g
#### common 103
seq 5 > f; sed -i -n '/3/p' f; cat f
#### common 104
seq 5 > f; sed -i '/[/d' f; cat f
#### common 105
seq 5 > f; sed -i 's/x/y' f; cat f
#### common 106
echo 'a/b' > f; sed -i 's#a/b#c\&d#' f; cat f
#### common 107
echo 'a.b axb' > f; sed -i 's/a\.b/Z/g' f; cat f
#### common 108
echo 'aa' > f; sed -i 's/a*/x/g' f; cat f
#### common 109
echo 'abc' > f; sed -i 's/b*/x/g' f; cat f
#### common 110
echo 'abc abc abc' > f; sed -i 's/abc/X/2' f; cat f
#### common 111
echo 'abc abc abc' > f; sed -i 's/abc/X/2g' f; cat f
#### common 112
echo 'foo|bar' > f; sed -i 's|foo\|bar|X|' f; cat f
#### common 113
echo 'foo|bar' > f; sed -i -E 's|foo\|bar|X|' f; cat f
#### common 114
echo 'a+b' > f; sed -i 's/a+b/X/' f; cat f
#### common 115
echo 'aab' > f; sed -i 's/a\+b/X/' f; cat f
#### common 116
echo 'k=v' > f; sed -i 's/^\(k\)=.*/\1=w/' f; cat f
#### common 117
printf 'a\nb\nc\n' > f; sed -i ':a;N;$!ba;s/\n/,/g' f; cat f
#### common 118
printf 'a\nb\nc\n' > f; sed -i 'N;d' f; cat f
#### common 119
printf 'a\nb\nc\n' > f; sed -i '$!N;P;D' f; cat f
#### common 120
printf 'a\n\n\nb\n' > f; sed -i '/^$/N;/^\n$/D' f; cat f
#### common 121
printf 'a\nb\n' > f; sed -i '1i\  x' f; cat f
#### common 122
printf 'a\nb\n' > f; sed -i '/a/a y' f; cat f
#### common 123
printf 'a\nb\n' > f; sed -i '/a/c\z' f; cat f
#### common 124
printf 'a\nb\nc\n' > f; sed -i '1,2c\z' f; cat f
#### common 125
printf 'a\nb\nc\n' > f; sed -i '$!{1,2c\z
}' f; cat f
#### common 127
printf 'x\n' > f; sed -i.bak 's/x/y/' f; ls; cat f.bak
#### common 128
printf 'x\n' > f; sed -i'' -e 's/x/y/' f; ls; cat f
#### common 129
printf 'x\n' > f; sed -ie 's/x/y/' f; ls
#### common 130
printf 'x\n' > f; sed -i -e 's/x/y/' -e 's/y/z/' f; cat f
#### common 131
printf 'x\n' > f; sed -i 's/x/$HOME/;s/\$/D/' f; cat f
#### common 132
printf 'x\n' > f; sed -i 's/x/a\tb/' f; cat f
#### common 133
printf 'a\tb\n' > f; sed -i 's/\t/T/;s/[\t]/U/' f; cat f
#### common 134
printf 'a]b\n' > f; sed -i 's/[]]/X/' f; cat f
#### common 135
printf 'a/b\n' > f; sed -i 's/[/]/X/' f; cat f
#### common 136
printf 'hello\n' > f; sed -i 's/\(h\)\(e\)/\2\1/;s/l\{2\}/L/' f; cat f
#### common 137
printf 'hello world\n' > f; sed -i -E 's/(\w+) (\w+)/\2 \1/' f; cat f
#### common 139
printf 'aXbX\n' > f; sed -i 's/x/-/gI' f; cat f
#### common 140
printf '1\n2\n3\n4\n' > f; sed -n '2{p;q}' f; sed -n '2,+1p' f; sed -n '1~2p' f; sed '2q' f; sed -n '$=' f
#### common 141
printf '1\n2\n3\n4\n' > f; sed '/2/r g' f; echo G > g; sed '/2/r g' f
#### common 142
printf '1\n2\n3\n' > f; sed -i 'w out' f; cat out f
#### common 143
printf '1\n2\n3\n' > f; sed -i '/2/w out
d' f; cat out f
#### common 144
mkdir d; touch d/a d/b; find d -name a -delete; ls d
#### common 145
mkdir d; touch d/a d/b d/c; find d -name a -o -name b -delete; ls d
#### common 146
mkdir d; touch d/a d/b d/c; find d \( -name a -o -name b \) -delete; ls d
#### common 147
mkdir d; touch d/a d/b d/c; find d ! -name a -type f -delete; ls d
#### common 148
mkdir d; touch d/a d/b d/c; find d -type f ! -name a ! -name b -exec rm {} +; ls d
#### common 149
mkdir -p d/k d/x; touch d/k/1 d/x/1; find d -path d/k -prune -o -type f -exec rm {} \; ; find d | sort
#### common 150
mkdir -p d/k d/x; touch d/k/1 d/x/1; find d -path d/k -prune -o -type f -print -delete; find d | sort
#### common 151
mkdir -p d/e/f; touch d/e/1; find d -mindepth 1 -delete; find d
#### common 152
mkdir -p d/e/f; touch d/e/1; find d -maxdepth 1 -type d -exec rm -rf {} \; ; find . | sort
#### common 153
mkdir -p d/e/f; touch d/e/1; find d -mindepth 1 -maxdepth 1 -exec rm -rf {} + ; find . | sort
#### common 154
mkdir -p d; touch d/1; find d -empty -delete; find . | sort
#### common 155
mkdir -p d/e; find . -type d -empty -delete; find . | sort
#### common 156
mkdir d; touch 'd/a b'; find d -type f | xargs rm; ls d
#### common 157
mkdir d; touch 'd/a b'; find d -type f -print0 | xargs -0 rm; ls d
#### common 158
mkdir d; touch "d/a'b"; find d -type f | xargs rm; ls d
#### common 159
touch a b; ls | xargs -I{} mv {} {}.bak; ls
#### common 160
touch a b; ls | xargs -n1 rm; ls
#### common 161
touch a b; echo a b | xargs -I{} rm {}; ls
#### common 162
touch a b; printf 'a\n\nb\n' | xargs -L1 echo; printf 'a b\nc\n' | xargs -L1 echo x
#### common 163
touch a; : | xargs rm; ls
#### common 164
touch a; : | xargs -r rm a; ls
#### common 165
touch a "it's"; printf "it's\na\n" | xargs -L1 rm; ls
#### common 166
touch a b; xargs rm <<< 'a b'; ls
#### common 167
echo 1 > a; echo 2 > b; mv a b; cat b; ls
#### common 168
echo 1 > a; echo 2 > b; mv -n a b; cat b; ls
#### common 169
echo 1 > a; echo 2 > b; cp -n a b; cat b
#### common 170
echo 1 > a; mkdir d; mv a d; ls d; mv d/a d/b; ls d
#### common 171
mkdir a b; touch a/1; mv a b; find . | sort
#### common 172
mkdir -p a b/a; touch a/1 b/a/2; mv a b; find . | sort
#### common 173
mkdir -p a b/a; touch a/1; mv a b; find . | sort
#### common 174
mkdir -p a b/a; touch a/1 b/a/1; cp -r a b; find . | sort
#### common 175
mkdir -p a; touch a/1; cp -r a b; cp -r a b; find . | sort
#### common 176
mkdir -p a; touch a/1; cp -r a/ b; cp -r a/. b; find . | sort
#### common 177
mkdir -p a; touch a/1; cp -r a/. .; find . | sort
#### common 178
mkdir -p a; touch a/1; cp -rT a b; cp -rT a b; find . | sort
#### common 179
mkdir -p a; touch a/1; mv a/* .; find . | sort
#### common 180
mkdir -p a; touch a/1; mv a a; find . | sort
#### common 181
mkdir -p a; touch a/1; mv a a/b; find . | sort
#### common 182
mkdir -p a; touch a/1; mv a/1 a; find . | sort
#### common 183
mkdir -p a; touch a/1; mv a .; find . | sort
#### common 184
mkdir -p a; touch a/1; cp a/1 .; cp a/1 a; cp ./a/1 a/../a/1; find . | sort
#### common 185
echo 1 > a; cp a nodir/; cat nodir; ls
#### common 186
echo 1 > a; cp a b/c; ls
#### common 187
echo 1 > a; echo x > nodir/; ls
#### common 188
echo 1 > a; mv a nodir/b; ls
#### common 189
echo 1 > a; touch a b/; ls
#### common 190
mkdir a; rm a; ls; rm -r a; ls
#### common 191
mkdir a; rm -f a; ls; rm -d a; ls
#### common 192
mkdir -p a/b; rm -d a; ls; rmdir a; rmdir -p a/b; ls
#### common 193
touch a; rm -rf a/; ls
#### common 194
touch a; rm a/; ls
#### common 195
touch a; rm -rf ./; ls
#### common 196
touch a; rm -rf .; ls
#### common 197
touch a; rm -rf ./*; ls
#### common 199
mkdir d; touch d/a; rm -rf d/..; ls
#### common 200
mkdir d; touch d/a; rm -rf d/.; ls
#### common 201
mkdir d; touch d/a b; rm -rf d/../b; ls
#### common 202
touch a b; rm -- a -b; ls
#### common 203
touch a b; rm a -v b; ls
#### common 204
touch a; rm nope a; ls
#### common 205
echo a > f; echo b >> f; cat < f > g; cat g; > f; wc -c < f
#### common 206
echo a > f; cat f > f; wc -c < f
#### common 207
echo a > f; sort f -o f; cat f; sort f > f; wc -c < f
#### common 208
echo a > f; echo b | tee f > /dev/null; cat f; echo c | tee -a f; cat f
#### common 210
f='*.q'; echo a > $f; ls
#### common 211
echo a > $nope; ls
#### common 212
echo a > "$nope"; ls
#### common 213
echo a >f 2>&1 nofile; cat f
#### common 214
echo err 2>f >&2; cat f
#### common 215
{ echo a; echo b >&2; } > f 2>&1; cat f
#### common 216
{ echo a; echo b >&2; } 2>&1 > f | sed s/b/B/; cat f
#### common 217
echo a &> f; cat f; echo b &>> f; cat f
#### common 218
exec 3> f; echo a >&3; exec 3>&-; cat f
#### common 219
exec 3>&1 > f; echo a; exec >&3; cat f
#### common 220
set -C; echo a > f; echo b > f; echo c >| f; cat f
#### common 221
cat <<E > f
$((1+1)) `echo q` \$x "a"
E
cat f
#### common 222
cat <<'E' > f
$((1+1)) `echo q` \$x "a"
E
cat f
#### common 223
cat <<-E > f
	tab
	E
cat f
#### common 224
f() { local x=1; rm -f "$1"; return 3; }; touch a; f a; echo $?; ls
#### common 225
trap 'rm -f t' EXIT; touch t u; exit 3
#### common 226
( trap 'echo bye' EXIT; exit 4 ); echo $?
#### common 227
touch a b c; for f in *; do [ "$f" = b ] && continue; rm "$f"; done; ls
#### common 228
touch a b c; for f in *; do case $f in a|b) continue;; esac; rm "$f"; done; ls
#### common 229
touch a b c; ls | grep -v b | while read f; do rm "$f"; done; ls
#### common 230
touch a b c; ls | grep -v '^b$' | xargs rm; ls
#### common 231
touch a.log b.log c.txt; rm $(ls | grep log); ls
#### common 233
echo a > x; echo a > y; cmp -s x y && rm y; ls
#### common 234
echo a > x; printf a > y; cmp -s x y && rm y; ls
#### common 235
echo a > x; echo b > y; diff -q x y > /dev/null && rm y; ls
#### common 236
echo a > x; diff x x && rm x; ls
#### common 237
echo a > x; diff -q x nope && rm x; cmp -s x nope && rm x; ls
#### common 238
echo 'a' > x; grep -q b x && rm x; grep -c b x; grep -L b x; grep -l a x; ls
#### common 239
echo 'a.b' > x; grep -q 'a\.c' x && rm x; grep -qF 'a.' x && echo f; ls
#### common 240
printf 'a\nb\n' > x; grep -v a x > y; mv y x; cat x
#### common 241
printf 'a\nb\n' > x; grep -vx 'a\|b' x > y; echo $?; cat y
#### common 242
printf 'foo\nfoobar\n' > x; grep -w foo x; grep -vw foo x; grep -vxF foo x; grep -vE '^(foo|bar)$' x
#### common 243
printf 'foo\nbar\n' > x; printf 'foo\n\n' > p; grep -vf p x; echo $?; : > q; grep -vf q x; echo $?; grep -f q x; echo $?
#### common 244
printf 'b\na\nb\n' > x; sort -u x -o x; cat x; uniq x y; cat y
#### common 245
printf 'a\nb\n' > x; comm -12 x x; comm -23 x x
#### common 246
printf '10\n9\n' > x; sort -n x; sort x; sort -rn x | head -1
#### common 247
echo abc | tr -d b > f; cat f; echo abc | tr a-c A-C; echo 'a  b' | tr -s ' '; echo abc | tr -cd 'ab\n'
#### common 248
echo 'a:b:c' | cut -d: -f2-; echo abc | cut -c2; echo 'a b' | cut -d' ' -f1
#### common 249
i=0; while [ $i -lt 3 ]; do i=$((i+1)); echo $i; done
#### common 250
x=010; echo $((x+1)) $((10#010)) $((0x10)) $((5/2)) $((-5/2)) $((-5%3)) $((2**10)) $((1<<3))
#### common 253
x=$(echo a; echo b; echo); echo "[$x]"
#### common 254
x=`echo \`echo n\``; echo $x
#### common 255
echo $(cat <<E
in
E
)
#### common 256
if [ -d nope ]; then rm -rf a; elif [ ! -d nope ]; then echo ok; else echo bad; fi
#### common 257
f() { echo "$#:$*"; }; f "$@"; set -- a 'b c'; f "$@"; f "$*"; f $@; shift; f "$@"
#### common 258
set -- a b c; for x; do echo $x; done; echo "${@:2}" "${#}" "${*: -1}"
#### common 259
x=abc; echo ${x:1} ${x:0:1} ${x: -1} ${x:1:-1} ${#x} ${x^} ${x^^}
#### common 260
x=; echo ${x:-a} ${x-b} ${x:+c} ${x+d} ${y:=e} $y
#### common 261
echo a\
#### common 262
b; echo 'a\
b'; echo "a\
b"
#### common 263
echo "a # b" # c
#### common 264
echo a#b; echo a;#c
#### common 265
echo a; # rm -rf *
#### common 266
rm -f nope; echo $?; rm nope; echo $?
#### common 267
false; echo $?; true; echo $?; (exit 5); echo $?; nope_cmd; echo $?
#### common 268
cd nope || echo failed; cd nope && echo in; mkdir d && cd d && pwd | sed 's,.*/,,'
#### common 269
mkdir d; (cd d; touch a); ls; touch b; ls d
#### common 270
mkdir d; cd d; touch a; cd ..; rm -r d; ls
#### common 271
mkdir d; cd d; cd -  >/dev/null; ls
#### common 272
mkdir -p a/b; cd a/b; cd ../..; ls; cd /nope 2>/dev/null; ls
#### common 273
touch a; mv a b && rm -f a; ls
#### common 274
touch a; false && rm a || echo kept; ls
#### common 275
touch a b; true || rm a && rm b; ls
#### common 276
touch a b; false && rm a; true; ls
#### common 277
touch a b; if false; then rm a; fi; ls
#### common 278
touch a; ! false && rm a; ls
#### common 279
touch a; ! true || rm a; ls
#### common 280
touch a; false | true && rm a; ls
#### common 281
touch a; { false; true; } && rm a; ls
#### common 282
touch a; (false) || rm a; ls
#### common 283
touch a b; for i in a; do rm $i; break; rm b; done; ls
#### common 284
touch a; f() { return 1; }; f && rm a; f || echo r; ls
#### common 285
touch a; x=no; [ "$x" == "yes" ] && rm a; ls
#### common 286
touch a; x="a b"; [ $x = a ] && rm a; ls
#### common 287
touch a; [ a = a ] && [ b = c ] && rm a; ls
#### common 288
touch a; [ 10 -gt 9 ] && rm a; ls
#### common 289
touch a; [ 08 -eq 8 ] && rm a; ls
#### common 290
touch a; [ x -eq 0 ] && rm a; ls
#### common 291
touch a; [[ x -eq 0 ]] && rm a; ls
#### common 292
touch a; [[ $nope -eq 0 ]] && rm a; ls
#### common 293
touch a; [[ -z $nope ]] && rm a; ls
#### common 294
touch a; [ -s a ] || rm a; ls
#### common 295
touch a; test -e "$nope" || echo none; test -e '' || echo none; ls
#### common 296
touch 'a
b' c; rm $'a\nb'; ls
#### common 297
touch a; rm "a "; rm ' a'; ls
#### common 298
touch a; echo "rm a" | sh; ls
#### common 299
touch a; sh -c 'rm "$1"' _ a; ls
#### common 300
touch a; sh -c 'rm $0' a; ls
#### common 301
touch a; eval "rm a"; ls
#### common 302
touch a; cmd="rm a"; $cmd; ls
#### common 303
touch a; cmd="rm 'a'"; $cmd; ls
#### common 304
touch a; alias r=rm; r a; ls
#### common 305
touch a; rm=echo; $rm a; ls
#### common 306
touch a; command rm a; ls
#### common 307
touch a; env X=1 rm a; ls
#### common 308
touch a; X=1 rm a; ls
#### common 309
touch a; \rm a; ls
#### common 311
touch a; exec rm a; echo not
#### common 312
mkdir d; touch d/a; ls d | (cd d && xargs rm); ls d
#### common 313
seq 100000 | head -1; seq 3 | tail -1; yes | head -2
#### common 314
seq 10 | sed -n '3,5p;5q' | tac | tr '\n' ' '
#### common 316
basename a/b.txt .txt; dirname a/b.txt; dirname a; basename a/
#### more 0
mkdir d; touch d/1; ln -s d l
----
find l -name 1 -delete; find . | sort
#### more 1
mkdir d; touch d/1; ln -s d l
----
find l/ -name 1 -delete; find . | sort
#### more 2
mkdir d; touch d/1; ln -s d l
----
find . -name 1 -delete; find . | sort
#### more 3
mkdir d; touch d/1; ln -s d l
----
find * -type f -delete; find . | sort
#### more 4
mkdir d; touch d/1; ln -s d l
----
rm -rf l; find . | sort
#### more 5
mkdir d; touch d/1; ln -s d l
----
rm -rf l/*; find . | sort
#### more 7
mkdir d; touch d/1; ln -s d l
----
rmdir l; rmdir l/; find . | sort
#### more 8
mkdir d; touch d/1; ln -s d l
----
mv l m; find . | sort
#### more 9
mkdir d; touch d/1; ln -s d l
----
mv l/ m; find . | sort
#### more 10
mkdir d; touch d/1; ln -s d l
----
touch x; mv x l; find . | sort
#### more 11
mkdir d; touch d/1; ln -s d l
----
cp -r l m; [ -L m ] && echo link; find . | sort
#### more 12
mkdir d; touch d/1; ln -s d l
----
cp -a l m; [ -L m ] && echo link; find . | sort
#### more 13
mkdir s; echo 1 > s/a; ln -s a s/b
----
cp -r s t; [ -L t/b ] && echo link; find . | sort
#### more 14
mkdir s; echo 1 > s/a; ln -s none s/b
----
echo 2 > s/c; cp -r s t; echo $?; find . | sort
#### more 15
mkdir s; mkdir s/a; ln -s a s/b
----
echo 2 > s/c; cp -r s t; echo $?; find . | sort
#### more 16
echo 1 > a; ln -s a b
----
sed -i s/1/2/ b; cat a b; [ -L b ] && echo link
#### more 17
echo 1 > a; ln -s a b
----
echo 2 > b; cat a; rm b; ls
#### more 18
echo 1 > a; ln -s a b
----
mv b a; cat a
#### more 19
echo 1 > a; ln -s a b
----
mv a b; cat b; ls
#### more 20
echo 1 > a; ln -s a b
----
cp a b; cp -f a b; cat a
#### more 21
echo 1 > a; ln a b
----
mv a b; cat b; ls
#### more 22
echo 1 > a; ln a b
----
cp a b; cat b; ls
#### more 23
echo 1 > a; ln a b
----
[ a -ef b ] && rm b; ls
#### more 24
echo 1 > a; ln -s a b
----
[ a -ef b ] && rm b; ls
#### more 27
ln -s none b
----
ls *; rm *; ls
#### more 28
mkdir d e; ln -s ../e d/l
----
touch e/1; rm -r d; find . | sort
#### more 29
mkdir d e; ln -s ../e d/l
----
touch e/1; find d -delete; find . | sort
#### more 31
mkdir d e; ln -s ../e d/l
----
touch e/1; rm -rf d/*/1; find . | sort
#### more 32
mkdir d; ln -s . d/l
----
touch d/1; grep -r x d; find d | sort; rm -r d; ls
#### more 33
mkdir d; ln -s d l
----
cd l; touch 1; cd ..; ls d
#### more 35
mkdir -p d/e; touch d/x; ln -s d/e l
----
rm l/../x; ls d
#### more 36
mkdir p q dst; echo 1 > p/x; echo 2 > q/x; cp p/x q/x dst; echo $?; cat dst/x
#### more 37
mkdir p q dst; echo 1 > p/x; echo 2 > q/x; mv */x dst; echo $?; cat dst/x; ls p q
#### more 38
touch a.tmp b; find . -name '*.tmp' -exec sh -c 'rm "$0"' {} \; ; ls
#### more 39
touch a.tmp b; find . -name '*.tmp' -exec sh -c 'mv "$0" "${0%.tmp}.x"' {} \; ; ls
#### more 40
touch a.tmp b; find . -name '*.tmp' -exec sh -c 'for f; do rm "$f"; done' _ {} +; ls
#### more 41
set -- a b c; touch a b c; rm "${@: -1}"; ls
#### more 42
set -- a b c; touch a b c; rm "${@:1:$#-1}"; ls
#### more 43
set -- a b c; touch a b c; rm "${@:0:2}"; ls
#### more 45
set -- a b c; touch a b c; eval "rm \${$#}"; ls
#### more 46
set -- ; touch a; rm "$@"; ls
#### more 47
set -- a; shift; touch a b; rm -rf ./"$1"; ls
#### more 49
touch a b; files=$(ls); rm $files; ls
#### more 50
touch "a b"; IFS=$'\n'; rm $(ls); ls
#### more 51
IFS=:; x=a:b; touch a b; rm $x; ls
#### more 52
touch a b c; ls | head -n -1 | xargs rm; ls
#### more 54
touch a b; ls | while read f; do [[ $f =~ ^a ]] && rm $f; done; ls
#### more 55
touch a.b axb; for f in *; do [[ $f =~ a\.b ]] && rm $f; done; ls
#### more 56
touch a.b axb; for f in *; do [[ $f =~ ^a[.]b$ ]] && rm $f; done; ls
#### more 57
touch 'a b' ab; for f in *; do [[ $f =~ a\ b ]] && rm "$f"; done; ls
#### more 58
touch a1 b; re='^a[0-9]+$'; for f in *; do [[ $f =~ $re ]] && rm $f; done; ls
#### more 60
touch a; [[ ab < ac ]] && rm a; ls
#### more 61
touch a; [[ a = A ]] && rm a; ls
#### more 62
touch a; [[ ! a == b ]] && rm a; ls
#### more 63
touch a; [[ a == b || c == d && e == e ]] && rm a; ls
#### more 64
touch a; [[ (a == b) || (c == c) ]] && rm a; ls
#### more 65
touch a; [ a = b ] || [ c = d ] && rm a; ls
#### more 66
set -e; rm nope; echo reached
#### more 67
set -e; x=$(cat nope) || true; echo reached
#### more 68
set -e; echo a > nodir/f; echo reached
#### more 69
set -e; if ! grep -q x nope; then echo no; fi; echo reached
#### more 70
set -e; grep x /dev/null | sort; echo reached
#### more 71
set -e; f() { cd nope; echo in; rm -rf x; }; f || echo failed
#### more 72
set -e; f() { cd nope; echo in; }; if f; then echo y; fi
#### more 75
set -e; $(false); echo reached
#### more 76
set -e; [ -f nope ]; echo reached
#### more 77
set -e; : > f; read x < f; echo reached
#### more 78
set -e; x=5; (( x > 10 )) && echo big; echo reached
#### more 79
set -e; case $(cat nope) in *) echo c;; esac; echo reached
#### more 80
set -e; for f in $(cat nope); do echo $f; done; echo reached
#### more 81
set -e; while false; do :; done; echo reached
#### more 82
set -e; f() { return 1; }; f; echo reached
#### more 83
set -e; . ./nope; echo reached
#### more 84
. ./nope; echo reached
#### more 85
set -e; trap 'echo bye' EXIT; false; echo reached
#### more 86
set -e; cat nope | cat; echo reached
#### more 87
set -o pipefail; cat nope | cat || echo pf
#### more 88
set -e; { cat nope; } 2>/dev/null; echo reached
#### more 89
set -e; export x=$(false); echo reached
#### more 95
set -e; test; echo reached
#### more 96
set -e; [ a = ]; echo reached
#### more 97
[ a = ]; echo $?
#### more 98
[ a -eq ]; echo $?; [ ; echo $?
#### more 99
echo a | grep -q a && echo y; echo a | grep -q b || echo n
#### more 100
cat <<A; cat <<B
1
A
2
B
#### more 101
x=$(cat <<'E'
$a
E
); echo "$x"
#### more 102
cat << E | tr a b
a
E
#### more 103
while read -r a b; do echo "$b:$a"; done << E
1 2
3 4 5
E
#### more 105
echo "a\nb"; echo 'a\nb'; echo -e 'a\nb'; echo -n x; echo; printf 'a\nb\n'; printf '%s' "a\nb"; echo
#### more 106
echo "$(echo "$(echo "a  b")")"; echo "a$(echo ')' )b"; echo $(echo '(')
#### more 107
echo "${x:-$(echo "}" )}" ${x:-'}'}
#### more 108
echo ${x:-a}b}; echo "${x:-"a b"}"; echo "${x:-\}}"; echo ${x-{a,b}}
#### more 109
echo {a,b}{1,2} a{,b} {a} {a,} {1..3}{a..b} {3..1} {01..03} "{a,b}" \{a,b} {a\,b,c}
#### more 110
echo $'a\'b' $"x" '"' "'" \" \'
#### more 112
x=a; x+=b; echo $x; x=1; x+=1; echo $x
#### more 113
for i in 1 2 3; do for j in a b; do [ $j = b ] && continue 2; [ $i = 3 ] && break 2; echo $i$j; done; done
#### more 114
i=0; until [ $i -ge 2 ]; do echo $i; i=`expr $i + 1`; done
#### more 115
for ((i=0;i<3;i++)); do echo $i; done
#### more 116
case a.txt in *.md|*.txt) echo t;; *) echo o;; esac; case "" in ?*) echo n;; *) echo e;; esac; case '[' in [[]) echo b;; esac
#### more 117
case b in [!a]) echo x;; esac; case 5 in [[:digit:]]) echo d;; esac; case ab in a?) echo q;; esac
#### more 118
echo 'x y z' | { read a b; echo "$b"; }; echo 'a:b' | { IFS=: read a b; echo $b; }
#### more 119
printf 'a\0b\0' | while IFS= read -r -d '' x; do echo "<$x>"; done
#### more 120
printf '%s\n' z a | sort | while read x; do echo $x; done | tail -1
#### more 121
exit 300
#### more 123
f() { echo a; exit 2; echo b; }; f; echo c
#### more 124
(exit 3); echo $?; { exit 4; }; echo no
#### more 125
x=$(exit 7); echo $?; echo "$(exit 7)"; echo $?
#### more 128
sed -n '$p' nope; echo $?; cat nope; echo $?; grep x nope; echo $?; head nope; echo $?; sort nope; echo $?; wc nope; echo $?
#### more 130
echo a > f; cp f; echo $?; mv f; echo $?; rm; echo $?; mkdir; echo $?; touch; echo $?
#### more 131
echo a > f; cp f f; echo $?; mv f f; echo $?; cat f; cat f >> f; wc -l < f
#### more 132
echo abc | sed 's/\(b\)/[\1]/;s/c$/&&/;y/a/x/'; echo abc | sed -n 's/b/x/p;s/z/y/p'; echo a.b | sed 's/./x/2'
#### more 133
printf 'a b\n' | sed 's/ /\n/'; printf 'ab\n' | sed 's/\(a\)\(b\)/\2\n\1/'; echo 'a\b' | sed 's/\\/x/'; echo 'a*b' | sed 's/*/x/'; echo '$x' | sed 's/$x/y/'; echo 'a^b' | sed 's/a^b/y/'
#### more 134
echo 'aaa' | sed 's/a\{2\}/b/'; echo 'a{2}' | sed 's/a{2}/b/'; echo 'a|b' | sed 's/a|b/x/'; echo '(a)' | sed 's/(a)/x/'; echo 'a?' | sed 's/a?/x/'
#### more 136
echo '/a/b' | sed 's,/a,,;s|/b|x|'; echo 'a,b' | sed 's,a\,b,x,'; echo a | sed 's/a/b/;s//c/'; echo aab | sed '/a/s//x/'
#### more 137
seq 6 | sed -n '2,4{/3/!p}'; seq 6 | sed '2,4{/3/d;s/^/x/}'; seq 3 | sed -e '1{' -e 'd' -e '}'; seq 3 | sed '2!{s/$/!/}'; seq 3 | sed '/2/{n;d}'
#### more 138
seq 3 | sed '2i\
x
'
#### more 139
seq 5 | sed '/2/,/4/c\
X'
#### more 140
seq 3 | sed 'a\  lead'; seq 3 | sed '2a two\
three'; seq 2 | sed 'G;s/\n$/E/'; seq 3 | sed -n 'H;${x;s/\n/,/g;p}'; seq 3 | sed '1!G;h;$!d'
#### more 141
seq 10 | sed '5,2d' | wc -l; seq 10 | sed '3,+2d' | wc -l; seq 10 | sed '0~3d' | wc -l; seq 10 | sed '2,~4d' | wc -l; seq 10 | sed '/3/,/3/d' | wc -l; seq 10 | sed '/9/,/x/d' | wc -l
#### more 142
echo x | sed 's/x/a&b\&c/'; echo x | sed 's/x/\//'; echo x | sed "s/x/'/"; echo x | sed 's/x/\x41/'; echo x | sed 's/x/\o101/'
#### more 143
echo 'k: v' | sed -E 's/^([a-z]+): (.*)$/\2=\1/'; echo aXb | sed -E 's/[A-Z]/-\L&/g'; echo 'a.b.c' | sed 's/\./_/g'; echo tab | sed 's/b/\t|/'
#### more 144
printf 'a\r\nb\r\n' | sed 's/\r$//' | wc -c; printf 'a\r\n' | tr -d '\r' | wc -c; printf 'a\r\n' | grep -c 'a$'
#### more 145
printf 'a\n\nb\n' | grep -c ''; printf 'a\nb' | wc -l; printf 'a\nb' | grep -c b; printf '' | grep -c x; printf 'aXb\n' | grep -io x; printf 'a1b22\n' | grep -oE '[0-9]+'
#### more 146
printf 'foo.c\nfooxc\n' | grep 'foo\.c'; printf 'a+b\n' | grep 'a+b'; printf 'ab\naab\n' | grep -E '^a+b$' | wc -l; printf 'x\n' | grep -e y -e x; printf 'a-b\n' | grep -- -b; printf 'a\nb\nc\n' | grep -A1 a; printf 'a\nb\nc\n' | grep -n c
#### more 147
printf '1 b\n2 a\n' | sort -k2; printf 'b,2\na,10\n' | sort -t, -k2 -n; printf 'b\nB\na\n' | sort -f; printf '1\n1\n2\n' | uniq -c | sort -rn | head -1; printf 'a\nb\na\n' | sort | uniq -d; printf '2\n10\n' | sort -V; printf 'x 1\nx 0\n' | sort -s -k1,1
#### more 148
printf 'a b c\n' | cut -d' ' -f1,3; printf 'abcdef\n' | cut -c2-4; printf 'a\tb\n' | cut -f2; printf 'ab\n' | cut -d: -f1; printf 'ab\n' | cut -sd: -f1
#### more 149
printf 'hello\n' | tr 'a-y' 'b-z'; printf 'aabb\n' | tr -s ab; printf 'a-b\n' | tr - _; printf 'abc\n' | tr abc x; printf 'a b\n' | tr '[:space:]' '_'; echo; printf 'ABC' | tr '[:upper:]' '[:lower:]'; printf 'a1' | tr -dc '[:digit:]'; echo; printf 'a\\b' | tr '\\' /
#### more 151
touch -d '40 days ago' x; touch y; find . -type f -mtime +30 -delete; ls
#### more 152
touch -d 2020-01-01 x; touch y; find . -type f -mtime +30 -delete; ls; find . -type f ! -mtime +30 -delete; ls
#### more 154
echo abc > x; : > y; find . -size 0 -delete; ls; find . -type f -size +1c -delete; ls
#### more 155
echo abc > x; find . -type f -size -1 -delete; ls; find . -type f -size -1k -delete; ls; find . -size 1 -delete; ls
#### more 156
touch a.txt A.TXT b; find . -iname '*.txt' -delete; ls; touch '[x]' x; find . -name '[x]' -delete; ls
#### more 157
touch a.js; mkdir -p node_modules; touch node_modules/b.js; find . -name '*.js' -not -path '*/node_modules/*' -delete; find . | sort
#### more 158
touch a; find . -type f -name a -exec rm {} \; -print; ls; touch a b; find . -type f -exec test {} = ./a \; -delete; ls
#### more 159
touch a b; find . -name a -o -name b -exec rm {} \; ; ls; touch a b; find . -type f -name 'a' , -name b -delete; ls
#### more 160
touch a b; find nope -delete; echo $?; find . nope -name a -delete; echo $?; ls; find . -name; echo $?; find . -delete -name zzz; ls
#### sed and filters 0
printf 'const\nx \t\n' | sed 's/[ \t]*$//' | sed -n l
#### sed and filters 1
printf 'const\n\tx\n' | sed 's/^[ \t]*//' | sed -n l
#### sed and filters 2
printf 'text\n' | sed 's/^[ \t]*//'
#### sed and filters 3
printf 'number\na\r\n' | sed 's/\r$//' | sed -n l
#### sed and filters 4
printf 'number\na\r\n' | sed 's/\r//g' | sed -n l
#### sed and filters 5
printf 'a\nn\n' | sed ':a;N;$!ba;s/[\n]/ /g'
#### sed and filters 6
printf 'name\nb\n' | sed ':a;N;$!ba;s/[^\n]*\n//'
#### sed and filters 7
printf 'a\tb t\n' | sed -E 's/[\t]+/,/g'
#### sed and filters 8
printf 'a\tb t\n' | sed 's/[^\t]*\t//'
#### sed and filters 9
printf 'a\tb\n' | grep -c '[\t]'; printf 'a\tb\n' | grep -cE 'a\sb'
#### sed and filters 10
printf 'it\x27s x27\n' | sed 's/\x27//g'
#### sed and filters 11
printf 'a.b\n' | sed 's/\x2e/-/'
#### sed and filters 12
printf 'a/b\n' | sed 's/\d047/-/'
#### sed and filters 13
printf 'ab\n' | sed 's/b/\x0a/'
#### sed and filters 14
printf 'a\fb\vc\n' | sed 's/\f/F/;s/\v/V/'
#### sed and filters 15
printf 'a\ab\n' | sed 's/\a/A/'
#### sed and filters 16
printf 'a-b]c\\d\n' | sed 's/[]\\]/X/g'
#### sed and filters 17
printf 'a\\nb\n' | sed 's/\\n/X/'
#### sed and filters 18
printf 'a.b\n' | sed 's/[.]/X/; s/[[:alpha:]]/Y/'
#### sed and filters 19
printf 'a b\n' | sed 's/\S/X/g'
#### sed and filters 20
printf 'foo()\n' | sed 's/()/[]/'; printf 'foo()\n' | sed -E 's/\(\)/[]/'
#### sed and filters 22
printf 'x\n' | sed 's/x/a\
b/'
#### sed and filters 23
printf 'x\n' | sed 's/x/a\\nb/'
#### sed and filters 24
printf 'x y\n' | sed 's/\(x\) \(y\)/\2\u\1\U\2\E\1/'
#### sed and filters 25
printf 'key=old\n' | sed 's/^key=.*$/key=a\/b/'
#### sed and filters 26
printf 'v="1"\n' | sed 's/"\([^"]*\)"/'"'"'\1'"'"'/'
#### sed and filters 27
printf '1\n2\n3\n' | sed '/2/s/.*/X/;/X/!d'
#### sed and filters 28
printf 'a\nb\n' | sed 's/a/1/w out'; cat out
#### sed and filters 29
printf 'a\nb\n' > f; sed -i '/a/r nope' f; cat f
#### sed and filters 30
printf 'a\nb\n' > f; sed -i -e '$a\' f; cat f
#### sed and filters 31
printf 'a' > f; sed -i -e '$a\' f; wc -c < f
#### sed and filters 32
printf 'a\nb\n' > f; sed -i '$a end' f; cat f
#### sed and filters 33
printf 'a\nb\n' > f; sed -i '1i start' f; cat f; sed -i '1s/^/top\n/' f; cat f
#### sed and filters 34
printf 'a\nb\n' > f; sed -i "1i\\
hello\\
world" f; cat f
#### sed and filters 35
printf 'a\nb\n' > f; sed -i '/a/{s/a/c/;h;G}' f; cat f
#### sed and filters 36
printf 'a\nb\nc\n' > f; sed -i '/b/,+1d' f; cat f
#### sed and filters 37
printf 'a # x\nb\n' > f; sed -i 's/#.*//' f; cat f
#### sed and filters 38
printf 'a\n' > f; sed -i 's/a/b/;' f; cat f; sed -i '' f; cat f; sed -i -E 's/(b)|(c)/[\1\2]/' f; cat f
#### sed and filters 39
printf 'a\nb\n' > f; sed -i '2{h;d};${G}' f; cat f
#### sed and filters 40
printf 'a\nb\n' > f; sed -n '/a/,/b/{//!p}' f; sed -i '/x/Q' f; sed -i 1Q f; cat f
#### sed and filters 42
printf 'x = 1;\n' | sed 's/\s*=\s*/=/; s/;$//'
#### sed and filters 43
printf 'a\n' | sed 'y/abc/\n\t\\/'
#### sed and filters 44
printf 'aa bb\n' | sed 's/\<./\U&/g'; printf 'aa\n' | sed 's/^/> /;s/$/ </'
#### sed and filters 45
printf 'a\n' | sed -e 's/a/b/' -- ; printf 'a\n' | sed --expression='s/a/b/'; printf 'a\n' | sed -n -e p -e p
#### sed and filters 46
printf 'α\n' | sed 's/./X/g'; printf 'É\n' | sed 's/é/e/I'
#### sed and filters 47
printf 'ab\n' | sed 's/x*/-/g'; printf 'baaac\n' | sed 's/a*/x/2'; printf 'abc\n' | sed 's/b*/X/2'
#### sed and filters 48
printf 'a\nb\n' | sed = | sed 'N;s/\n/ /'; printf 'a\nb\n' | sed -n '$!p'; printf 'l1\nl2\n' | sed '1~3d;2q5'; echo $?
#### sed and filters 51
printf 'a\n' | tr '\x61' b; printf 'ab-\n' | tr 'a\-b' xyz; printf '[a]\n' | tr '[' '('; printf 'abc\n' | tr '[a-c]' '[A-C]'; printf 'hello\n' | tr -c 'a-z\n' _; printf 'aab\n' | tr -ds a b
#### sed and filters 52
printf 'b a\n' | sort -k1,1r; printf '1,10\n1,9\n' | sort -t, -k1,1n -k2,2n; printf '1.5\n1.10\n' | sort -n; printf '1K\n1M\n2\n' | sort -h; printf 'a\nA\nb\n' | sort -fu; printf '+1\n-1\n' | sort -n; printf 'Feb\nJan\n' | sort -M
#### sed and filters 53
printf 'a 1\nb 2\n' | while read k v; do [ $v -gt 1 ] && echo $k; done
#### sed and filters 54
printf 'a\tb\n' | cut -d'	' -f2; printf 'a b\n' | cut -d ' ' -f 2; printf 'abc' | cut -b1-2; printf 'a:b:c\n' | cut -d: -f1,3 --output-delimiter=-; printf 'a:b:c\n' | cut -d: -f3,1; printf 'a:b\n' | cut -d: --complement -f1
#### sed and filters 55
seq 3 | head -c 3; seq 3 | tail -c 2; seq 5 | tail -n+4; seq 5 | head -n3 | tail -n1; seq 5 | tail -2; seq 5 | head -2; seq 3 | tac; seq 5 -1 3; seq 0 0.5 1; seq -w 8 10; seq -s, 3
#### sed and filters 56
mkdir -p a/b; touch a/1 a/b/2; ls -R a; ls -A a; ls -d a/*; ls -1 a; ls a/1; ls -p a; ls -F a
#### sed and filters 58
printf 'a:1\nb:2\n' > x; grep -o ':.*' x; grep -c . x; grep -H a x; grep -n '' x; grep -m1 . x; grep -h a x x; grep -r a .; grep -rl a . --include='*.z'; grep -rL a .; grep -Fx 'a:1' x; grep -e '' -c x; grep -E 'a|b' x | wc -l; grep 'a\|b' x | wc -l; grep -B1 b x; grep -i A x; grep -s x nope; grep -v . x; grep -lv a x; grep -L a x; grep -cv a x
#### sed and filters 59
printf 'foo.bar\n' > x; grep -w foo x; grep '\.' x; grep -F . x; grep '[.]b' x; grep -E 'o{2}' x; grep 'o\{2\}' x; grep '^foo\b' x; grep 'bar$' x; grep -E '^$' x; grep -E '(foo)\.(bar)' x; grep -E 'fo+\.' x; grep 'fo*\.' x; grep -E '\bfoo\b' x; grep -x foo x; grep -q zzz x; echo $?
#### sed and filters 60
expr 1 + 2; expr a : 'a'; expr abc : 'a\(.\)'; expr length abc; expr 5 / 2; expr 3 \* 4; expr 1 = 1; expr 0; echo $?; expr substr abcd 2 2; expr 5 % 3; expr a \< b
#### sed and filters 61
printf '%s-%s\n' a b c; printf '%5s|%-5s|\n' a b; printf '%x %o %c\n' 255 8 abc; printf '%%\n'; printf '\x41\101\n'; printf '%s\n'; printf '%d\n' abc; echo $?; printf '%.2s\n' abc; printf '%+d %05d % d\n' 1 2 3; printf '%*d\n' 5 1; printf '%e\n' 1234.5; printf '%i %u\n' 1 2; printf "%s\n" "a%sb"
#### files 0
mkdir k d; touch k/1 d/1; find . -path ./k -prune -o -type f -delete; find . | sort
#### files 1
touch a b; find . -mindepth 1 -name a -prune -o -delete; find . | sort
#### files 2
touch a; find . -delete; ls -a | wc -l
#### files 3
mkdir d; touch d/a; cd d; find . -type f -empty -delete; find .. | sort
#### files 4
touch a b; ls a b nope > out 2>/dev/null || rm a; ls
#### files 5
set -e; for f in a; do :; done > nodir/x; touch reached; ls
#### files 6
set -e; if true; then echo; fi > nodir/x; touch reached; ls
#### files 7
set -e; { cat nope; } ; touch reached; ls
#### files 8
set -e; (echo a) > nodir/x; touch reached; ls
#### files 9
set -e; echo a > nodir/x; touch reached; ls
#### files 10
set -e; f() { echo a; } ; f > nodir/x; touch reached; ls
#### files 11
set -e; f() { echo a; } > nodir/x; f; touch reached; ls
#### files 12
{ echo a; } > nodir/x || touch failed; ls
#### files 13
{ echo a; } > nodir/x && touch ok; ls
#### files 14
while read x; do echo $x; done < nope || touch failed; ls
#### files 15
x=1; { x=2; } > nodir/x; echo $x
#### files 16
set -e; x=$(< nope); touch reached; ls
#### files 17
echo $(<nope) end; echo "$(< /dev/null)" end
#### files 18
echo hi > f; echo "$(<f)" "$(cat f)"; y=`<f`; echo $y
#### files 19
for f in *.none; do rm -f "$f"; touch "ran-$f"; done; ls
#### files 20
ls *.none 2>/dev/null | xargs touch seen; ls
#### files 21
touch x; cp x{,.bak}; ls; mv x{.bak,.old}; ls
#### files 22
touch a b; rm -f a\ b; ls; rm -f "a b"; ls; rm -f a" "b; ls
#### files 23
touch 'a$b' ab; rm 'a$b'; ls; touch 'a$b'; rm "a\$b"; ls
#### files 24
touch -- -rf x; rm -- -rf; ls; touch ./-v; rm *; ls
#### files 25
touch a; rm -i a < /dev/null; ls
#### files 26
touch a; rm -fr nope a; ls; rm -rfv . ; ls
#### files 27
echo old > f; echo new > f.tmp; mv -f f.tmp f; cat f; ls
#### files 28
echo a > f; (exec > f; cat f); wc -c < f
#### files 29
echo a > f; { cat; } < f > f; wc -c < f
#### files 31
printf 'a\nb\n' > f; while read x; do echo "$x"; done < f > g; mv g f; cat f
#### files 32
printf 'a\nb\n' > f; grep -v a f | cat > g && mv g f; cat f
#### files 33
printf 'a\nb\n' > f; grep -v '[ab]' f > g && mv g f; cat f; ls
#### files 34
printf 'a\nb\n' > f; grep -v a f > f; wc -c < f
#### files 35
printf 'b\na\n' > f; sort f | tee g > /dev/null; cat g; sort -o f f g; cat f; sort f > g; mv g f
#### files 36
printf 'a\n' > f; cat f - < /dev/null > g; cat g; cat f > h f; cat h
#### files 37
printf 'a\n' > f; head -c 1 f > g; dd if=f of=g 2>/dev/null; ls
#### files 38
printf 'a\nb\nc\n' > f; sed -n '2,$p' f > g && cp g f && rm g; cat f; ls
#### files 40
mkdir -p a/b; echo 1 > a/b/f; cp -r a/b .; cat b/f; mv a/b a/c; cp -r a/. b/; find . | sort
#### files 41
mkdir a; touch a/f; mv a b; mv b/f .; rmdir b; ls; mkdir -p x/y; rmdir x; ls; rm -r x/y; ls x
#### files 42
touch a; mv -v a b; cp -v b c; rm -v b c; mkdir -v d; rmdir -v d
#### files 43
touch a; mkdir b; mv a b/; mv b/a ./c; ls; mv c ./; ls; mv ./c .; ls; mv c c/; ls
#### files 44
touch a; mkdir d; mv -T a d; ls d; cp -T a d; ls d; mv d a; ls; mv -f d a; ls; cp -r d a; ls
#### files 45
echo 1 > a; echo 2 > b; mv a b c; ls; mv a b c/; ls; cp a b c/; ls
#### files 47
f=x.tar.gz; mkdir "${f%%.*}"; touch "${f##*.}"; ls; n=3; touch f$((n+1)) f${n}a "f$n b"; ls
#### files 48
d=; rm -rf ${d:+$d/*}; touch a; ls; rm -rf "${d:-nope}"/*; ls
#### files 49
d=x; mkdir x; touch x/a y; rm -rf "$d/"*; ls x; ls
#### files 50
touch a1 b1; for x in a b; do rm ${x}1; done; ls; touch ab; x=a; rm $xb 2>/dev/null; rm ${x}b; ls
#### files 51
touch a b c; rm $(printf '%s\n' a b); ls; touch 'x y'; rm $(echo 'x y'); ls; rm "$(echo 'x y')"; ls
#### files 52
touch a b; ls | sed 's/^/rm /' | sh; ls; touch a; ls | sed 's/.*/mv & &.bak/' | sh -e; ls
#### files 53
touch a; find . -type f -exec mv {} {}.bak \; ; ls; find . -name '*.bak' -exec sh -c 'mv "$1" "${1%.bak}"' sh {} \; ; ls
#### files 54
touch a b c; find . -type f | sort | head -1 | xargs rm; ls; find . -type f -print0 | xargs -0 -I{} mv {} {}.x; ls
#### files 55
touch a b; printf '%s\0' a b | xargs -0 -n1 rm -v; printf 'a\\ b' | xargs -n1 echo; printf '"a b" c' | xargs -n1 echo; printf 'a\n' | xargs -I % echo %-%; printf 'a b\nc\n' | xargs; printf 'a,b' | xargs -d, -n1 echo; printf 'x y' | xargs -n 1 sh -c 'echo $0'
#### files 56
touch a; echo | xargs rm; echo $?; echo ' ' | xargs -I{} rm {}; ls; seq 3 | xargs -n2 echo; seq 2 | xargs -t echo 2>/dev/null
#### quoted globs 0
mkdir -p a/b; touch a/b/1 a/b/2; d=a/b; ls "$d"/*; for f in "$d"/*; do echo "$f"; done
#### quoted globs 1
mkdir -p a/b; touch a/b/1 a/b/2; d=$PWD/a; ls "$d"/* >/dev/null && echo found
#### quoted globs 2
mkdir -p a/b; touch a/b/1; d=a/b; ls $d/*; ls "a"/b/*; ls "a/b/"*; ls 'a/'*; ls a\/b/*; ls "a/b"/1*
#### quoted globs 3
mkdir -p a/b; touch a/b/x.txt; d=a/b; n=0; for f in "$d"/*.txt; do [ -e "$f" ] && n=$((n+1)); done; [ $n = 0 ] && rm -rf "$d"; find . | sort
#### quoted globs 4
mkdir -p 'a b/c'; touch 'a b/c/1'; d='a b/c'; rm -rf "$d"/*; find . | sort
#### quoted globs 5
mkdir -p a; touch a/1; d=./a; rm -f "$d"/*; ls a; d=a/; touch a/2; rm -f "$d"*; ls a
#### quoted globs 6
mkdir -p a/b; touch a/b/1 a/b/2; cp "$PWD/a/b"/* . ; ls
#### quoted patterns 0
mkdir a; touch a/1; ls "a"/[0-9]; x='[0-9]'; ls a/$x; ls "a/"[0-9]
#### quoted patterns 1
touch 'a-b' 'a.b' 'a_b'; ls a[-.]b; ls a["-"]b; ls a['-.']b; ls a[!"-"]b
#### quoted patterns 2
touch a-x; p='a-'; ls "$p"*; ls a\-*; touch 'é1' ; ls 'é'*; touch 'a b1'; ls 'a b'*; touch 'x(1)'; ls 'x('*; ls x\(*
#### quoted patterns 3
f='a/b.txt'; case $f in "a"/*.txt) echo y;; *) echo n;; esac; case $f in "a/"*) echo y;; *) echo n;; esac; p='a/'; case $f in "$p"*) echo y;; *) echo n;; esac
#### quoted patterns 4
p=$PWD; f=$PWD/x; echo ${f#"$p"/} ${f#$p/} ${f#"$p"} ${f/"$p"/R} ; [[ $f == "$p"/* ]] && echo y; [[ $f == $p/* ]] && echo y
#### quoted patterns 5
p='a.b/c'; f='a.b/c/d'; echo ${f#"$p/"} ${f%"/d"} ${f//"."/_} "${f/"/"/-}"
#### quoted patterns 6
mkdir -p d/e; touch d/e/f.c; for i in d/*/"f.c"; do echo $i; done; for i in d/*/'f.'*; do echo $i; done; for i in "d"/*/f.c; do echo $i; done
#### quoted patterns 7
touch a.c b.c; for i in ./*.c; do echo $i; done; for i in "."/*.c; do echo $i; done; for i in "./"*.c; do echo $i; done; for i in "$PWD"/*.c; do basename $i; done
#### quoted patterns 8
touch .a b; for i in .* ; do echo $i; done | grep -v '^\.\.*$'; for i in "."*; do echo $i; done | grep -v '^\.\.*$'; ls -d .[a-z]* "."[a-z]*
#### quoted patterns 9
mkdir -p x/y; cd x; for i in ../x/*; do echo $i; done; for i in ".."/x/*; do echo $i; done; d=..; ls "$d"/x; ls -d "$d"/*
#### quoted patterns 10
touch a1; ls *"1"; ls "a"*; ls 'a'?; ls a'1'; ls "a1"*
#### quoted patterns 11
mkdir 'a[b'; touch 'a[b/1'; ls 'a[b'/*; ls a\[b/*; d='a[b'; ls "$d"/*; ls $d/*
#### quoted patterns 12
mkdir d; touch d/1; ls d/*/ ; ls -d */; ls -d d*/; ls d//*; ls ./d/./*
#### slashes 0
echo keep > f; sort nope -o f; echo $?; cat f
#### slashes 1
printf 'b\na\n' > f; sort f nope -o f; echo $?; cat f
#### slashes 2
echo keep > f; uniq nope f; echo $?; cat f
#### slashes 3
echo keep > f; echo x | tee nodir/g f; cat f
#### slashes 4
echo keep > f; sort -k0 f -o f; cat f
#### slashes 5
echo keep > f; sort --nope f -o f; cat f
#### slashes 6
echo keep > f; sed -i 's/[' f; cat f; sed -i 's/a/\9/' f; cat f; sed -i k f; cat f
#### slashes 7
echo keep > f; grep '\(' f > f; cat f; cp f nodir/x/y; cat f
#### slashes 8
echo keep > f; mkdir d; mv f d/nodir/; ls; mv f d nope; ls; cp -r d f; ls
#### slashes 9
echo keep > f; echo n > g; mv g f/; ls; mv f/ g; ls; cp g f/; cat f; cp f/ h; ls
#### slashes 10
echo keep > f; mkdir d; mv d f; ls; mv f/. d; ls; rm -r f/.; ls; rm f/; ls; touch f/; ls
#### slashes 11
echo keep > f; ls f/; cat f/; echo x > f/; cat f; [ -f f/ ] && echo isf; test -e f/ && echo ise
#### slashes 12
mkdir d; mv d e/; ls; mv e/ g; ls; mkdir e; mv g/ e/; find . | sort
