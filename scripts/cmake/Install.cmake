# What `cmake --install` lays down: the program, the library and its headers, the jobs with their configurations, and what other builds find
# it by (find_package(tweedie), pkg-config tweedie).
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/tweedie)
install(TARGETS tweedie EXPORT tweedieTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET tweedie_program)
    file(RELATIVE_PATH from_program ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
    set_target_properties(tweedie_program PROPERTIES INSTALL_RPATH "$ORIGIN/${from_program}" INSTALL_RPATH_USE_LINK_PATH ON)
    install(TARGETS tweedie_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/tweedie DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(DIRECTORY ${PROJECT_SOURCE_DIR}/jobs DESTINATION ${CMAKE_INSTALL_DATADIR}/tweedie OPTIONAL USE_SOURCE_PERMISSIONS)
install(FILES ${PROJECT_SOURCE_DIR}/datasets/mnist.h5 ${PROJECT_SOURCE_DIR}/datasets/mnist-features.h5 DESTINATION ${CMAKE_INSTALL_DATADIR}/tweedie/datasets)
install(PROGRAMS ${PROJECT_SOURCE_DIR}/scripts/minicluster DESTINATION ${CMAKE_INSTALL_DATADIR}/tweedie/scripts)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/CHANGELOG.md ${PROJECT_SOURCE_DIR}/CITATION.cff
        DESTINATION ${CMAKE_INSTALL_DOCDIR})
foreach(folder datasets src tests) # those of the jobs lie beside them
    install(FILES ${PROJECT_SOURCE_DIR}/${folder}/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR}/${folder})
endforeach()

install(EXPORT tweedieTargets NAMESPACE tweedie:: DESTINATION ${package_dir})
get_property(libraries GLOBAL PROPERTY TWEEDIE_LIBRARIES)
list(REMOVE_DUPLICATES libraries)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/tweedieConfig.cmake.in ${PROJECT_BINARY_DIR}/generated/tweedieConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/generated/tweedieConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/generated/tweedieConfig.cmake ${PROJECT_BINARY_DIR}/generated/tweedieConfigVersion.cmake
              ${CMAKE_CURRENT_LIST_DIR}/Dependencies.cmake DESTINATION ${package_dir})

# pkg-config: what the library stands on is private, which `pkg-config --static` follows: modules where pkg-config knows them, else files.
set(pc_modules "")
set(pc_libraries "")
# pc_add(module library...): the module in the place of the libraries, where there is one
function(pc_add module)
    if(module AND NOT ARGN STREQUAL "")
        execute_process(COMMAND ${PKG_CONFIG_EXECUTABLE} --exists ${module} RESULT_VARIABLE missing)
        if(missing EQUAL 0)
            set(pc_modules ${pc_modules} ${module} PARENT_SCOPE)
            return()
        endif()
    endif()
    foreach(library ${ARGN})
        if(library MATCHES "^(/|-)")
            list(APPEND pc_libraries ${library})
        else()
            list(APPEND pc_libraries -l${library})
        endif()
    endforeach()
    set(pc_libraries ${pc_libraries} PARENT_SCOPE)
endfunction()
get_target_property(webp_library tweedie_webp INTERFACE_LINK_LIBRARIES)
get_target_property(tiff_library tweedie_tiff INTERFACE_LINK_LIBRARIES)
foreach(library webp tiff)
    if(NOT ${library}_library) # NOTFOUND: built without
        set(${library}_library "")
    endif()
endforeach()
pc_add("" ${HDF5_C_HL_LIBRARIES} ${HDF5_C_LIBRARIES} ${MPI_C_LIBRARIES} ${OpenMP_C_LIBRARIES} dnnl pthread m)
pc_add(inih inih)
pc_add(libxxhash xxhash)
pc_add(libpng png)
pc_add(libjpeg jpeg)
pc_add(libwebp ${webp_library})
pc_add(libtiff-4 ${tiff_library})
pc_add(zlib z)
list(REMOVE_DUPLICATES pc_libraries)
list(JOIN pc_libraries " " TWEEDIE_PC_LIBRARIES)
list(JOIN pc_modules ", " TWEEDIE_PC_MODULES)
file(RELATIVE_PATH TWEEDIE_PC_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX}) # a package may be moved
configure_file(${CMAKE_CURRENT_LIST_DIR}/tweedie.pc.in ${PROJECT_BINARY_DIR}/generated/tweedie.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/generated/tweedie.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# A module file in Tcl, which both Lmod and Environment Modules read: `module use PREFIX/etc/modulefiles`.
foreach(what BINDIR LIBDIR INCLUDEDIR DATADIR)
    file(RELATIVE_PATH MODULE_${what} ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_${what}})
endforeach()
configure_file(${PROJECT_SOURCE_DIR}/scripts/modulefile.in ${PROJECT_BINARY_DIR}/generated/modulefile @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/generated/modulefile DESTINATION etc/modulefiles/tweedie RENAME ${PROJECT_VERSION})
