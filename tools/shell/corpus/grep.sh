#### plain
printf 'apple\nbanana\ncherry\napricot\n' > f
grep ap f; grep -v ap f; grep -n an f; grep -c ap f; grep -i APPLE f; grep nosuch f; echo $?; grep -q ap f; echo $?; grep -l ap f; grep -L ap f; grep -o 'an' f; grep -x apple f; grep -w apple f
#### expressions
printf 'a1\nb22\nc333\nfoo(bar)\na.b\naxb\n' > f
grep '[0-9]' f; grep -E '[0-9]{2,}' f; grep '[0-9]\{3\}' f; grep -F a.b f; grep 'a.b' f; grep '^a' f; grep '3$' f; grep -E '^(a|b)' f; grep '(bar)' f; grep -E 'foo\(' f; grep -E 'a|c' f; grep 'a\|c' f; grep -e a1 -e b2 f; grep '[[:digit:]]$' f; grep 'x*b' f; grep -E '(2)+' f; grep '\.' f
#### words
printf 'cat\nconcat\ncat dog\ncat_x\n' > f; grep -w cat f; grep '\<cat\>' f; grep '\bcat\b' f
#### several files
printf 'x\n' > a; printf 'x\ny\n' > b; grep x a b; grep -h x a b; grep -H x a; grep -c x a b; grep -n y a b; grep x a nosuch 2>/dev/null; echo $?; grep -s x nosuch; echo $?
#### context
seq 20 > f; grep -A2 '^5$' f; grep -B1 '^5$' f; grep -C1 '^5$' f; grep -n -A1 -e '^3$' -e '^9$' f; grep -A1 '^[34]$' f
#### bounds
seq 20 > f; grep -m2 1 f; grep -m1 -A1 3 f; grep -c '' f; grep -o '[0-9]$' f | head -3
#### recursive
mkdir -p d/e; echo hit > d/x.txt; echo hit > d/e/y.md; echo no > d/z; grep -r hit d | sort; grep -rl hit . | sort; grep -r hit | sort; grep -rn hit d/e; grep -r --include='*.md' hit d; grep -rc hit d | sort; grep -r --exclude-dir=e hit d
#### patterns from a file
printf 'b\nc\n' > p; printf 'a\nb\nc\n' | grep -f p; printf 'a\nb\n' | grep -v -f p; printf 'a\nb\n' | grep "a
b"
#### no end of line
printf 'abc' | grep b; printf 'a\nb' | grep -c .
#### empty matches
printf 'a\n\nb\n' | grep -n '^$'; printf 'a\n\n' | grep -v '^$'; echo aXbX | grep -o X
#### extended quirks
echo 'a{b' | grep -E 'a\{b'; echo 'a+b' | grep 'a+b'; echo 'aab' | grep -E 'a+b'; echo 'a?b' | grep 'a?b'; echo '[x]' | grep '\[x\]'; echo 'a]b' | grep '[]]'; echo 'a-b' | grep '[a-]-'; echo 'tab	x' | grep -E '\sx'
