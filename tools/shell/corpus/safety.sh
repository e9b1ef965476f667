#### a copy onto a second name of the file
echo A > a; ln a h
----
cp a h 2>/dev/null; echo $?; cat a h; echo longer > b; cp b h; cat a; echo s > c; cp c h; cat a
#### a copy onto a link to the file
echo A > a; ln -s a s; ln -s none gone
----
cp a s 2>/dev/null; echo $?; cp s a 2>/dev/null; echo $?; cat a; cp a gone 2>/dev/null; echo $?; ls
#### a move onto the file that a link leads to
echo A > a; ln -s a s; ln a h
----
mv s a 2>/dev/null; echo $?; cat a; mv a h; echo $?; cat h; ls
#### a move of a file over a link to it
echo A > a; ln -s a s
----
mv a s; echo $?; [ -L s ] || echo file; cat s; ls
#### a move by another way to the same place
mkdir d; echo A > d/a; ln -s d l
----
mv d/a l/a 2>/dev/null; echo $?; mv l/a d/b; cat d/b; cp d/b l/b 2>/dev/null; echo $?; cat d/b; ls d
#### find at a link
mkdir d; echo x > d/f; ln -s d l
----
find l -type f -delete; find l; find l/ -type f; find * -type f | sort; find l -exec echo {} \;; ls d; find l -delete; ls; ls d
#### a link with a slash is no folder to remove or to move
mkdir d; echo x > d/f; ln -s d l
----
rmdir l/ 2>/dev/null; echo $?; mv l/ m 2>/dev/null; echo $?; ls; ls d; rm d/f; rmdir l/ 2>/dev/null; echo $?; ls; touch d/f; rm -r l; ls . d
#### a name with a slash is no file
echo A > a; echo B > b; echo C > c
----
mv a archive/ 2>/dev/null; echo $?; mv b archive/ 2>/dev/null; echo $?; mv a c/ 2>/dev/null; echo $?; cp a c/ 2>/dev/null; echo $?; cp a new/ 2>/dev/null; echo $?; ls; cat a b c
#### several files of one name into one folder
mkdir p q dst r s; echo 1 > p/x; echo 2 > q/x; echo 3 > r/y; echo 4 > s/y
----
mv p/x q/x dst 2>/dev/null; echo $?; cat dst/x; ls p q; cp r/y s/y dst 2>/dev/null; echo $?; cat dst/y; cp dst/y dst/y p 2>/dev/null; echo $?; ls p; cp r/y ./r/y q 2>/dev/null; echo $?; cat q/y
#### a name that is empty
mkdir sub; echo x > sub/f
----
cd sub; mv "$unset" ../moved 2>/dev/null; echo $?; rm -d "$unset" 2>/dev/null; echo $?; rm -rf "$unset"; echo $?; rmdir "$unset" 2>/dev/null; echo $?; touch "$unset" 2>/dev/null; echo $?; cp f "$unset" 2>/dev/null; echo $?; cp -r "$unset" ../copy 2>/dev/null; echo $?; mv f "$unset" 2>/dev/null; echo $?; mkdir -p "$unset" 2>/dev/null; echo $?; cat "$unset" 2>/dev/null; echo $?; (echo y > "$unset") 2>/dev/null || echo failed; ls .. .
#### links are copied as links
mkdir s s/d; echo 1 > s/a; ln -s a s/b; ln -s d s/e; ln -s none s/f; echo 2 > s/g; echo in > s/d/x; ln -s s l
----
cp -r s t; echo $?; for f in a b d e f g; do [ -L t/$f ] && echo "link $f"; done; cat t/b t/g t/e/x; cp -a l m; [ -L m ] && echo link; cp -r l/ n; ls n; cp -r s/. t; echo $?; ls t; echo changed > s/a; cp -r s/. t; cat t/b
#### links are not written through
mkdir s d; echo new > s/x; echo old > d/y; ln -s y d/x; mkdir s2 d2; ln -s gone s2/x; echo kept > d2/x
----
cp s/x d/x; cat d/y; cp -r s2/. d2; [ -L d2/x ] && echo link; ls d2
#### a folder is not copied into itself by a link
mkdir d; echo 1 > d/f; ln -s d l
----
cp -r d l/x 2>/dev/null; echo $?; cp -r d d/y 2>/dev/null; echo $?; cp -r . d 2>/dev/null; echo $?; [ -e d/f ] && echo there
#### a link does not take the place of its file
echo A > a; ln -s a l; mkdir d; ln -s ../a d/l; ln a h
----
cp -r l a 2>/dev/null; echo $?; cp -a d/l a 2>/dev/null; echo $?; cp -a d/l h 2>/dev/null; echo $?; cat a h; cp -a l l 2>/dev/null; echo $?; cp -a d/l l; echo $?; cat a
#### a folder by two dots is copied into the target
mkdir -p d/s e; echo 1 > d/x; echo kept > x
----
cp -r d/s/.. e; cat x e/x; ls . e; touch -d 2001-01-01 d; find d -maxdepth 0 -mtime +100
#### a copy goes on after what fails
mkdir s t t/b; echo 1 > s/a; echo 2 > s/b; echo 3 > s/c; mkdir s/d; echo 4 > s/d/x; echo file > t/d
----
cp -r s/. t 2>/dev/null; echo $?; find t | sort; cat t/c t/d
#### sed puts a file in the place of a link
echo 1 > a; ln -s a b
----
sed -i s/1/2/ b; cat a b; [ -L b ] || echo file; ls; printf x > n; sed -i -e '$a\' n; wc -c < n; sed -i -e '$a\' n; wc -c < n
#### a file is not copied into itself
seq 5 > f; seq 5 > g
----
cat f >> f 2>/dev/null; echo $?; wc -l < f; grep 1 g f >> g 2>/dev/null; echo $?; cat g; grep -r 1 . > out 2>/dev/null; cat out | wc -l; cat g - < /dev/null > h; cat h
#### sed ends for all files
seq 5 > a; seq 5 > b; cp a c; cp b d
----
sed -i 2q a b; wc -l < a; wc -l < b; sed -s -n '1p;2q' c d; sed -i '3Q' c d; wc -l < c; wc -l < d; sed -i '$!N;s/\n/+/' d; cat d
#### sed writes for all files into one
seq 3 > a; seq 4 6 > b
----
sed -i -e '/[25]/w out' -e 's/1/one/' a b; cat out a
#### sed keeps what is no text
printf 'caf\351\nabc\303\n' > f
----
sed -i 'y/b/X/' f; wc -c < f; sed 's/.*/\U&/' f | wc -c; sed -n 's/^\(.\)\(.*\)/\u\1\2/p' f | wc -c
#### xargs keeps names with blanks that are letters
echo a > 第1章; echo b > '第1章　草稿.tmp'; echo c > 'a b'
----
find . -name '*.tmp' | xargs rm; echo $?; ls; printf 'x\r\n' | xargs -I{} echo '{}' | wc -c; printf 'a b \nc\nd\n' | xargs -L1 echo =; printf '"a b"\n' | xargs -I{} rm {}; ls
#### xargs does nothing where a quote is open
echo 1 > a; echo 2 > b
----
printf "it's\n" | xargs -L1 echo ran 2>/dev/null; echo $?; printf "it's\n" | xargs -I{} echo ran 2>/dev/null; echo $?; printf "it's\n" | xargs rm 2>/dev/null; echo $?; ls
#### an input that is not there costs no output
echo keep > f; printf 'b\na\n' > g
----
sort nope -o f 2>/dev/null; echo $?; cat f; sort g nope -o f 2>/dev/null; echo $?; sort g nope 2>/dev/null; uniq nope f 2>/dev/null; echo $?; cat f; sort g -o g; cat g; uniq g f; cat f
#### set -e and a redirection of a group
echo part > p
----
(set -e; { cat p; } > no/all; rm p) 2>/dev/null; [ $? = 0 ] || echo failed; (set -e; while read x; do :; done < nofile; rm p) 2>/dev/null; [ $? = 0 ] || echo failed; (set -e; for i in 1; do echo; done > no/f; rm p) 2>/dev/null; [ $? = 0 ] || echo failed; (set -e; if true; then :; fi < no/f; rm p) 2>/dev/null; [ $? = 0 ] || echo failed; (set -e; case a in a) :;; esac > no/f; rm p) 2>/dev/null; [ $? = 0 ] || echo failed; (set -e; { echo a; } > no/f || echo seen; if { :; } < no/f; then :; fi; ! { :; } < no/f; echo on) 2>/dev/null; [ $? = 0 ] || echo failed; ls
#### the name of a script
echo 'echo "$0 $1"' > s.sh
----
sh ./s.sh a; sh -c 'echo "$0 $1"' x y; sh -c 'echo "$0"'; f() { sh -c 'echo "$0"' "$1"; }; f z; touch a.tmp; find . -name '*.tmp' -exec sh -c 'rm "$0"' {} \;; ls
#### what is quoted in a path of a pattern
mkdir -p a/b 'c d/e' 'x[y'; touch a/b/1 a/b/2.txt 'c d/e/3' 'x[y/4'
----
d=a/b; for f in "$d"/*; do echo "$f"; done; for f in "$d"/*.txt; do [ -e "$f" ] && echo yes; done; echo "a/"b/*; echo 'a/'*; echo a\/b/*; d='c d/e'; echo "$d"/*; rm -f "$d"/*; ls "$d"; echo "x[y"/*; echo "$PWD/a"/* | sed "s,$PWD,," ; d=a/; echo "$d"*; case a/b.txt in "a/"*) echo y;; esac; case a/b in "a"/?) echo z;; esac; echo "./"*/b; echo "a/b/"[12]*
#### sed characters
printf 'const \t\n\ttext\nnumber\r\nn it\047s x27 \047\n' > f
----
sed 's/[ \t]*$//' f; sed 's/^[ \t]*//' f; sed 's/\r$//' f | wc -c; sed 's/[\r]//g' f | wc -c; sed 's/\x27//g' f; sed 's/[\x27]/Q/g' f; sed 's/\d047/-/;s/\o047/O/' f; echo a/b | sed 's/\d047/-/;s/b/\x0a\o101\d066/'; printf 'a\nnb\nc\n' | sed ':a;N;$!ba;s/[^\n]*\n//'; printf 'a\fb\vc\a\n' | sed 's/\f/F/;s/\v/V/;s/\a/A/;s/F/\t\f/' | wc -c; echo 'a.b' | sed 's/\x2e/-/;s/[\x41-\x5a]/u/'; echo abc | sed 'y/abc/\n\t\\/'; echo a | sed 'a x\ty'; printf 'a\\b\n' | sed 's/[\]/X/'; echo 'a/b' | sed 's/[\/]/X/'; printf 'a]b\\c\n' | sed 's/[]\]/X/g'
#### find prunes or deletes
mkdir keep other; touch keep/a other/b
----
find . -path ./keep -prune -o -type f -delete 2>/dev/null; echo $?; find . | sort; find . -depth -path ./keep -prune -o -name b -delete; find . -type f; find . -delete; ls -a | wc -l; find . -exec expr 1 + 2 \;
