;; The source of words.wasm, a component that exports one plain function. Tools are usually written in Rust, JavaScript,
;; Python or another language that compiles to a component; this one is so small that the text is the program.
(component
  (core module $words
    (memory (export "memory") 1)
    (global $free (mut i32) (i32.const 16))

    ;; Room for what the host passes in, behind all earlier room. An instance lives for one call, so nothing is given back.
    (func (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at
        (i32.and
          (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
          (i32.sub (i32.const 0) (local.get $align))))
      (global.set $free (i32.add (local.get $at) (local.get $size)))
      (block $enough
        (loop $more
          (br_if $enough (i32.le_u (global.get $free) (i32.mul (memory.size) (i32.const 65536))))
          (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
          (br $more)))
      (memory.copy (local.get $at) (local.get $old) (local.get $old_size))
      (local.get $at))

    ;; A word begins at every byte above the space that follows one that is not.
    (func (export "count") (param $at i32) (param $length i32) (result i32)
      (local $end i32) (local $inside i32) (local $words i32)
      (local.set $end (i32.add (local.get $at) (local.get $length)))
      (block $done
        (loop $next
          (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
          (if (i32.le_u (i32.load8_u (local.get $at)) (i32.const 32))
            (then (local.set $inside (i32.const 0)))
            (else
              (if (i32.eqz (local.get $inside))
                (then (local.set $words (i32.add (local.get $words) (i32.const 1)))))
              (local.set $inside (i32.const 1))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $next)))
      (local.get $words)))

  (core instance $code (instantiate $words))
  (func (export "count") (param "text" string) (result u32)
    (canon lift
      (core func $code "count")
      (memory (core memory $code "memory"))
      (realloc (core func $code "cabi_realloc")))))
