#### substitute
echo 'hello world' | sed 's/o/0/'; echo 'hello world' | sed 's/o/0/g'; echo 'hello world' | sed 's/o/0/2'; echo aaa | sed 's/a/b/2g'; echo hello | sed 's/l*/X/'; echo hello | sed 's/HELLO/x/I'
echo a/b | sed 's|/|-|'; echo abc | sed 's/b/[&]/'; echo abc | sed 's/\(a\)\(b\)/\2\1/'; echo abc | sed -E 's/(a)(b)/\2\1/'; echo 'a.b' | sed 's/\./-/'; echo abc | sed 's/b/\n/'; echo x | sed 's/x/a\&b/'
echo hello | sed 's/x*/-/g'; echo 'foo bar' | sed 's/[^ ]*/<&>/g'; echo abc | sed 's/b//'; echo path/to | sed 's/\//_/g'; echo 'a b' | sed 's/a\tb/x/'; echo hello | sed 's/.*/\U&/'; echo hello world | sed 's/\b\(.\)/\u\1/g'
#### addresses
seq 5 > f; sed -n 2p f; sed -n '2,4p' f; sed '2d' f; sed '2,4d' f; sed -n '$p' f; sed '$d' f; sed -n '/3/p' f; sed '/2/,/4/d' f; sed -n '2,/4/p' f; sed -n '1~2p' f; sed '2!d' f; sed -n '/2/,+1p' f; sed '2q' f; sed -n '4,2p' f; sed '0,/1/s/1/one/' f; sed '/3/!s/$/x/' f; sed -n '0~2p' f
#### several commands
seq 3 | sed -e 's/1/a/' -e 's/2/b/'; seq 3 | sed 's/1/a/;s/3/c/'; seq 3 | sed -n '/2/{s/2/two/;p;}'; seq 3 | sed '/2/{
s/2/x/
}'; seq 3 | sed '2{h;d};${G}'; seq 4 | sed '2,3{s/^/>/}'
#### text
seq 2 | sed '1a\
after'; seq 2 | sed '1i\
before'; seq 2 | sed '1c\
changed'; seq 2 | sed 'a after'; seq 2 | sed '2i before'; seq 3 | sed '2,3c new'; seq 2 | sed '1a\  indented'; seq 2 | sed '$a end'
#### spaces
seq 3 | sed -n 'H;${x;s/\n/,/g;p}'; seq 4 | sed 'N;s/\n/ /'; seq 3 | sed 'N;s/\n/ /'; seq 3 | sed '1!G;h;$!d'; seq 4 | sed -n 'n;p'; seq 4 | sed '$!N;P;D'; seq 3 | sed x; seq 3 | sed G
#### branches
echo aaa | sed ':a;s/a/b/;ta'; printf 'a\\\nb\n' | sed -e ':x' -e '/\\$/N' -e 's/\\\n//' -e 'tx'; echo abc | sed 's/b/X/;tend;s/a/never/;:end'; seq 3 | sed '2b;s/$/!/'; printf 'a\nb\n' | sed ':a;N;$!ba;s/\n/+/g'; echo x | sed 's/y/z/;T;s/x/no/'
#### numbers and lists
seq 3 | sed =; printf 'a\tb\\\n' | sed -n l; seq 3 | sed -n '$='
#### translate
echo hello | sed 'y/el/ip/'; echo 'a/b' | sed 'y/\//|/'
#### files
seq 3 > f; sed -i 's/2/two/' f; cat f; sed -i.bak 's/two/2/' f; cat f f.bak; echo ins > r; sed '1r r' f; sed -n '2w out' f; cat out; sed -n 's/3/three/w o2' f; cat o2; sed -s -n '$p' f r; sed -n '$p' f r; sed p nosuch 2>/dev/null; echo $?
#### exit
seq 5 | sed 3q | tail -1; echo a | sed q5; echo $?; seq 3 | sed -n '2{p;q}'; seq 3 | sed 2Q
#### no end of line
printf 'a' | sed 's/a/b/'; echo; printf 'a\nb' | sed p; echo; printf 'a' | sed '$a x'
#### script from a file
printf 's/a/b/\ns/b/c/\n' > s.sed; echo a | sed -f s.sed; printf '# comment\n1d # more\n' > t.sed; seq 2 | sed -f t.sed
#### expressions
echo 'foo123' | sed -E 's/[0-9]+/N/'; echo 'aab' | sed 's/a\{2\}/x/'; echo 'ab' | sed 's/a\|b/x/g'; echo '2024-01-02' | sed -E 's/([0-9]+)-([0-9]+)-([0-9]+)/\3.\2.\1/'; echo 'a[b]' | sed 's/\[b\]/c/'; echo 'x=1' | sed 's/[=/]/:/'; echo '  lead' | sed 's/^ *//'; echo 'trail  ' | sed 's/ *$/|/'; echo abc | sed -n '/b/p'; echo abc | sed -n '\,b,p'; echo abc | sed '//s/b/x/' 2>/dev/null || echo none; echo abc | sed '/b/s//X/'
#### null data
printf 'a\0b\0' | sed -z 's/^/x/' | tr '\0' '\n'
