//go:build linux && amd64

package kernels

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/cpu"
	"golang.org/x/sys/unix"
)

// emulated is set in the environment of a test process whose AMX instructions, which
// the processor lacks, are emulated by the process that traces it.
const emulated = "SEMA_TEST_EMULATED_AMX"

func TestMain(m *testing.M) {
	if os.Getenv(emulated) != "" {
		tiers = append([]tier{{AMX, amxS8(), avx512F32}}, tiers...)
		active = &tiers[0]
	}
	os.Exit(m.Run())
}

// TestAMXEmulated runs the tests of products, which go over all tiers, with AMX too
// on a machine without it.
func TestAMXEmulated(t *testing.T) {
	switch {
	case cpu.X86.HasAMXTile:
		t.Skip("the processor has AMX: the tests named below run on it as they are")
	case os.Getenv(emulated) != "":
		t.Skip("this is the process that is traced")
	case testing.Short():
		t.Skip("takes ten seconds; -short is for the race detector, and threads share nothing new here")
	case !hasAVX512VNNI():
		t.Skip("the tier takes all but products from AVX-512, which this processor lacks and nothing here emulates")
	}
	out, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(os.Args[0], "-test.v", "-test.run", "^(TestLinearS8|TestSinksAndBatches|TestProductsAllocateNothing|TestLevels|TestLinearArgMax|FuzzLinearS8|FuzzLinearArgMax)$/^(amx|seed.*)?$")
	cmd.Env = append(os.Environ(), emulated+"=1")
	cmd.Stdout, cmd.Stderr = out, out
	count, err := emulate(cmd)
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) {
		t.Skip("this system lets no process be traced (ptrace, process_vm_readv), which emulation needs")
	}
	log, _ := os.ReadFile(out.Name())
	if err != nil || count == 0 || !bytes.Contains(log, []byte("/amx")) {
		t.Fatalf("%d instructions of AMX emulated, %v\n%s", count, err, log)
	}
	t.Logf("%d instructions of AMX emulated", count)
}

// emulate runs cmd, which writes to files, to its end and executes its AMX
// instructions, which are illegal here. It returns how many they were.
func emulate(cmd *exec.Cmd) (int, error) {
	runtime.LockOSThread() // which alone may trace
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	e := emulator{pid: cmd.Process.Pid, threads: map[int]*tileRegisters{}}
	defer cmd.Process.Release()
	defer cmd.Process.Kill()
	defer time.AfterFunc(3*time.Minute, func() { cmd.Process.Kill() }).Stop()
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(e.pid, &status, 0, nil); err != nil {
		return 0, err
	}
	if err := syscall.PtraceSetOptions(e.pid, unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_EXITKILL); err != nil {
		return 0, err
	}
	for tid, signal := e.pid, 0; ; {
		if err := syscall.PtraceCont(tid, signal); err != nil && err != syscall.ESRCH {
			return e.count, err
		}
		var err error
		if tid, err = e.wait(&status); err != nil {
			return e.count, err
		}
		if status.Exited() || status.Signaled() {
			if status.ExitStatus() != 0 {
				return e.count, fmt.Errorf("exit status %d", status.ExitStatus())
			}
			return e.count, nil
		}
		if signal, err = e.stopped(tid, status); err != nil {
			return e.count, err
		}
	}
}

// emulator executes AMX instructions for the threads of a process.
type emulator struct {
	pid, count int
	threads    map[int]*tileRegisters
}

// wait returns the thread that stopped, or the process when it ended.
func (e *emulator) wait(status *syscall.WaitStatus) (int, error) {
	for {
		tid, err := syscall.Wait4(-1, status, syscall.WALL, nil)
		if err == syscall.EINTR || err == nil && tid != e.pid && !status.Stopped() {
			continue
		}
		return tid, err
	}
}

// stopped returns the signal to pass to a thread that stopped.
func (e *emulator) stopped(tid int, status syscall.WaitStatus) (int, error) {
	switch signal := status.StopSignal(); signal {
	case syscall.SIGILL:
		return 0, e.step(tid)
	case syscall.SIGTRAP, syscall.SIGSTOP: // events of tracing
		return 0, nil
	default:
		return int(signal), nil
	}
}

// tileRegisters are those of a thread.
type tileRegisters struct {
	config [64]byte
	tiles  [8][tileLines][tileLine]byte
}

func (r *tileRegisters) lines(t int) int { return int(r.config[48+t]) }
func (r *tileRegisters) bytes(t int) int { return int(binary.LittleEndian.Uint16(r.config[16+2*t:])) }

// check reports a configuration that the processor would refuse.
func (r *tileRegisters) check() error {
	fit := r.config[0] == 1 && r.config[1] == 0
	for t := range 16 {
		lines, bytes := r.lines(t), r.bytes(t)
		fit = fit && lines <= tileLines && bytes <= tileLine && (lines == 0) == (bytes == 0) && (t < len(r.tiles) || lines == 0)
	}
	if !fit {
		return errors.New("no such configuration")
	}
	return nil
}

// step executes the instruction at which a thread stopped.
func (e *emulator) step(tid int) error {
	r := e.threads[tid]
	if r == nil {
		r = new(tileRegisters)
		e.threads[tid] = r
	}
	var regs syscall.PtraceRegs
	if err := syscall.PtraceGetRegs(tid, &regs); err != nil {
		return err
	}
	var code [6]byte
	if _, err := e.transfer(unix.ProcessVMReadv, code[:], regs.Rip, 0, len(code), 1); err != nil {
		return err
	}
	length, err := e.execute(r, &regs, code)
	if err != nil {
		return fmt.Errorf("% x at %#x: %w", code, regs.Rip, err)
	}
	regs.Rip += uint64(length)
	e.count++
	return syscall.PtraceSetRegs(tid, &regs)
}

// transfer reads or writes lines of width bytes, stride apart at address.
func (e *emulator) transfer(call func(int, []unix.Iovec, []unix.RemoteIovec, uint) (int, error), buf []byte, address, stride uint64, width, lines int) (int, error) {
	local := []unix.Iovec{{Base: &buf[0], Len: uint64(width * lines)}}
	var remote []unix.RemoteIovec
	for i := range uint64(lines) {
		remote = append(remote, unix.RemoteIovec{Base: uintptr(address + i*stride), Len: width})
	}
	n, err := call(e.pid, local, remote, 0)
	if err == nil && n != width*lines {
		err = fmt.Errorf("only %d of %d bytes may be touched", n, width*lines)
	}
	return n, err
}

var errNotAMX = errors.New("not an AMX instruction that is emulated")

// execute executes an instruction and returns its length. Source: Intel,
// "Architecture Instruction Set Extensions Programming Reference", chapter 3.
func (e *emulator) execute(r *tileRegisters, regs *syscall.PtraceRegs, code [6]byte) (int, error) {
	if code[0] != 0xc4 || code[1]&0x9f != 0x82 || code[2]&0x84 != 0 {
		return 0, errNotAMX
	}
	general := [...]uint64{regs.Rax, regs.Rcx, regs.Rdx, regs.Rbx, regs.Rsp, regs.Rbp, regs.Rsi, regs.Rdi, regs.R8, regs.R9, regs.R10, regs.R11, regs.R12, regs.R13, regs.R14, regs.R15}
	x, b := code[1]>>6&1^1, code[1]>>5&1^1
	vvvv, prefix, mode := int(code[2]>>3&15^15), code[2]&3, code[4]>>6
	reg, rm := int(code[4]>>3&7), code[4]&7
	const none, p66, f3, f2 = 0, 1, 2, 3
	switch code[3] {
	case 0x49:
		switch {
		case prefix == none && mode == 0:
			_, err := e.transfer(unix.ProcessVMReadv, r.config[:], general[b<<3|rm], 0, len(r.config), 1)
			return 5, errors.Join(err, r.check())
		case prefix == none && code[4] == 0xc0:
			*r = tileRegisters{}
			return 5, nil
		case prefix == f2 && mode == 3:
			clear(r.tiles[reg][:])
			return 5, nil
		}
	case 0x4b:
		if mode == 0 && rm == 4 && code[5]>>6 == 0 {
			base, stride := general[b<<3|code[5]&7], general[x<<3|code[5]>>3&7]
			return 6, e.move(r, reg, prefix == f3, base, stride)
		}
	case 0x5e:
		if (prefix == f3 || prefix == p66) && mode == 3 {
			return 5, r.dot(reg, int(rm), vvvv, prefix == f3)
		}
	}
	return 0, errNotAMX
}

// move stores or loads a tile.
func (e *emulator) move(r *tileRegisters, t int, store bool, address, stride uint64) error {
	lines, width := r.lines(t), r.bytes(t)
	if lines == 0 || width == 0 {
		return errors.New("the tile is not configured")
	}
	buf := make([]byte, lines*width)
	if store {
		for i := range lines {
			copy(buf[i*width:], r.tiles[t][i][:width])
		}
		_, err := e.transfer(unix.ProcessVMWritev, buf, address, stride, width, lines)
		return err
	}
	_, err := e.transfer(unix.ProcessVMReadv, buf, address, stride, width, lines)
	clear(r.tiles[t][:])
	for i := range lines {
		copy(r.tiles[t][i][:width], buf[i*width:])
	}
	return err
}

// dot adds the products of a's bytes and b's to c: of the two, one has signed bytes and
// the other unsigned ones.
func (r *tileRegisters) dot(c, a, b int, signedA bool) error {
	if r.lines(c) != r.lines(a) || r.bytes(c) != r.bytes(b) || r.bytes(a) != 4*r.lines(b) || r.lines(a)*r.lines(b) == 0 {
		return errors.New("the shapes of the tiles don't go together")
	}
	for m := range r.lines(c) {
		for n := 0; n < r.bytes(c); n += 4 {
			sum := binary.LittleEndian.Uint32(r.tiles[c][m][n:])
			for k := range r.bytes(a) {
				signed, unsigned := r.tiles[a][m][k], r.tiles[b][k/4][n+k%4]
				if !signedA {
					signed, unsigned = unsigned, signed
				}
				sum += uint32(int32(int8(signed)) * int32(unsigned))
			}
			binary.LittleEndian.PutUint32(r.tiles[c][m][n:], sum)
		}
	}
	return nil
}
