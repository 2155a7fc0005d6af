/* The context switch for x86-64, System V ABI.
 * SPDX-License-Identifier: Apache-2.0 */
#if defined(__x86_64__)
  .text

/* void gosi_switch(void **save, void **load)
 * Saves what the ABI calls callee-saved on the current stack, publishes the stack
 * pointer in *save, and continues where *load was saved; *load becomes 0.
 * Once *save is written another thread may continue this context: the old stack is
 * not touched after that.
 * Floating-point control (rounding, masked exceptions) belongs to the context, the sticky
 * exception flags do not. The x87 word is slow to read, half of a switch, so it is only
 * looked at where MXCSR is not as a program starts with it: what sets one sets both. */
.macro SWITCH jumps
  .cfi_startproc
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  subq $8, %rsp
  stmxcsr (%rsp)
  movq (%rsi), %rax
  movl (%rsp), %ecx
  andl $0xffc0, %ecx
  cmpl $0x1f80, %ecx
  jne 2f
1:
  movq %rsp, (%rdi)
  movq %rax, %rsp
  movq $0, (%rsi)
  movl (%rsp), %edx
  andl $0xffc0, %edx
  cmpl %edx, %ecx
  jne 3f
4:
  addq $8, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  .if \jumps
  popq %rcx
  jmp *%rcx
  .else
  ret
  .endif
2:
  fnstcw 4(%rsp)
  jmp 1b
3:
  ldmxcsr (%rsp)
  cmpl $0x1f80, %edx
  jne 5f
  movl $0x37f, 4(%rsp)
5:
  fldcw 4(%rsp)
  jmp 4b
  .cfi_endproc
.endm

  .p2align 4
  .globl gosi_switch
  .hidden gosi_switch
  .type gosi_switch, @function
gosi_switch:
  SWITCH 0
  .size gosi_switch, .-gosi_switch

/* The same, but goes on by a jump: see JUMPS_BACK in base.h. */
  .p2align 4
  .globl gosi_jump
  .hidden gosi_jump
  .type gosi_jump, @function
gosi_jump:
  SWITCH 1
  .size gosi_jump, .-gosi_jump

#if !defined(GOSSAMER_EXPLORE)
/* What stands in the place of `ret` in a function with JUMPS_BACK, and is one on a realm's thread. The name is gcc's.
 * 24: of realm in gosi_m, see proc.c. */
  .p2align 4
  .globl __x86_return_thunk
  .hidden __x86_return_thunk
  .type __x86_return_thunk, @function
__x86_return_thunk:
  .cfi_startproc
  movq gosi_tls_m@gottpoff(%rip), %rcx
  movq %fs:(%rcx), %rcx
  testq %rcx, %rcx
  je 1f
  cmpq $0, 24(%rcx)
  jne 1f
  .cfi_remember_state
  popq %rcx
  .cfi_adjust_cfa_offset -8
  .cfi_register rip, rcx
  jmp *%rcx
  .cfi_restore_state
1:
  ret
  .cfi_endproc
  .size __x86_return_thunk, .-__x86_return_thunk
#endif

/* First code of a fresh context: r12(r13). Debuggers and unwinders stop here. */
  .p2align 4
  .globl gosi_start
  .hidden gosi_start
  .type gosi_start, @function
gosi_start:
  .cfi_startproc
  .cfi_undefined rip
  xorl %ebp, %ebp
  movq %r13, %rdi
  callq *%r12
  ud2
  .cfi_endproc
  .size gosi_start, .-gosi_start
#endif
  .section .note.GNU-stack, "", @progbits
