#### mkdir and rmdir
mkdir a; mkdir -p b/c/d; mkdir a 2>/dev/null; echo $?; mkdir -p a; echo $?; mkdir x/y 2>/dev/null; echo $?; rmdir a; rmdir b 2>/dev/null; echo $?; find . | sort; rmdir -p b/c/d; ls
#### cp
echo 1 > a; cp a b; cat b; mkdir d; cp a b d; ls d; cp -r d e; ls e; cp d f 2>/dev/null; echo $?; cp nosuch x 2>/dev/null; echo $?; cp a d/new; cat d/new; cp -r d e; find e | sort; cp a a 2>/dev/null; echo $?; echo 2 > c; cp -n c a; cat a; cp -v c z; cp -t d z; ls d; cp a b nosuch 2>/dev/null; echo $?
#### mv
echo 1 > a; mv a b; ls; mkdir d; mv b d; ls d; echo 2 > x; echo 3 > y; mv x y d/; ls d; mv d e; ls; mv nosuch z 2>/dev/null; echo $?; echo o > n; mv -n n e/x; cat e/x; ls; mv e/x e/y; cat e/y; mv e e 2>/dev/null; echo $?
#### rm
touch a b c; rm a; ls; rm nosuch 2>/dev/null; echo $?; rm -f nosuch; echo $?; mkdir -p d/e; touch d/e/f; rm d 2>/dev/null; echo $?; rm -r d; rm -rf b c; ls -a | wc -l; mkdir k; rm -d k; ls; rm -rf .. 2>/dev/null; echo $?
#### touch
touch a b; ls; touch -c no; ls; echo keep > k; touch k; cat k; touch -d '2020-01-01 00:00:00' old; touch new; [ new -nt old ] && echo newer; touch -r old copy; [ copy -nt old ] || echo same
#### ls
mkdir d; touch b a .h d/x; ls; ls -a; ls -A; ls d; ls -d d; ls a b; ls d a; ls nosuch 2>/dev/null; echo $?; ls -r; ls -p; ls -R; ls -1 a; ls -F
printf 12345 > big; ls -S | head -1; touch -d 2000-01-01 a; ls -t | tail -1; ls -tr | head -1
#### find
mkdir -p p/q/r .git; touch p/a.txt p/q/b.txt p/q/r/c.md p/.hid; printf 12345 > p/size
find p | sort; find p -name '*.txt' | sort; find p -type d | sort; find p -type f -name '*.md'; find p -maxdepth 1 | sort; find p -mindepth 2 -type f | sort; find p -iname '*.TXT' | sort; find p -path '*q/*' | sort
find p ! -name '*.txt' -type f | sort; find p -name '*.md' -o -name 'size' | sort; find p \( -name a.txt -o -name b.txt \) -print | sort; find p -empty -type f | sort; find p -size -2 -type f -name size; find p -size +3c -type f; find p -name q -prune -o -type f -print | sort
find p -type f -name '*.txt' -exec echo found {} \; | sort; find p -name '*.txt' -exec basename -a {} + | sort; find p -name c.md -delete; find p -name c.md; find p -print0 | tr '\0' '\n' | wc -l; find nosuch 2>/dev/null; echo $?; find p -name '*.txt' | xargs ls | sort; find p -type f -printf '%f %s %d %P %h\n' | sort; find . -name p; find p -name a.txt -quit -print; find p -depth -type d | tail -1
#### find newer
touch -d 2020-01-01 old; touch new; find . -newer old -type f; find . -mtime +100 -type f
#### dev null
echo x > /dev/null; cat /dev/null; wc -c < /dev/null; echo y 2> /dev/null; cat < /dev/null; [ -e /dev/null ] && echo there
#### noclobber
echo a > f; (set -C; echo b > f) 2>/dev/null || echo failed; (set -C; echo c >| f); cat f
#### names with blanks
mkdir 'a dir'; echo in > 'a dir/a file'; cat 'a dir/a file'; for f in */*; do echo "$f"; done; find . -type f | while read -r f; do cat "$f"; done; find . -type f -print0 | xargs -0 cat
#### scripts as files
printf 'echo "script $1"\nexit 3\n' > s.sh; sh s.sh arg; echo $?; sh -c 'echo "$1"' name given; echo 'echo from stdin' | sh
#### a small program
mkdir logs; for i in 1 2 3; do printf 'INFO start %s\nERROR bad %s\nINFO end\n' $i $i > logs/$i.log; done
total=0; for f in logs/*.log; do n=$(grep -c ERROR "$f"); total=$((total + n)); echo "$(basename "$f" .log): $n"; done; echo "total $total"
cat logs/*.log | cut -d' ' -f1 | sort | uniq -c | sort -rn | sed 's/^ *//'
