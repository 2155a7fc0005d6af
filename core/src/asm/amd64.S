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
  .p2align 4
  .globl gosi_switch
  .hidden gosi_switch
  .type gosi_switch, @function
gosi_switch:
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
  addq $8, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
2:
  fnstcw 4(%rsp)
  jmp 1b
3:
  ldmxcsr (%rsp)
  cmpl $0x1f80, %edx
  jne 4f
  movl $0x37f, 4(%rsp)
4:
  fldcw 4(%rsp)
  addq $8, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .cfi_endproc
  .size gosi_switch, .-gosi_switch

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
